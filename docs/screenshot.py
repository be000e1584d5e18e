"""Take the picture of a run's or a sweep's report: `python docs/screenshot.py RUN_DIR docs/report.png`.

`python docs/screenshot.py SWEEP_DIR docs/sweep.png` takes that of a sweep.

Needs Chromium (Debian: `apt-get install chromium`), which draws the page without a display.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Down to the end of the time line of the demo, and of the charts against the first key and the first heat maps.
WIDTH, HEIGHT, SWEEP_HEIGHT = 1280, 2020, 2400
COLOURS = 256
LIMIT_S = 60
# No display, no GPU, none of the requests that a browser makes on its own; light colours.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
    "--hide-scrollbars",
    "--blink-settings=preferredColorScheme=1",
)


def find_chromium() -> str | None:
    """Path of a Chromium on this machine, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def take(chromium: str, page: Path, target: Path, width: int = WIDTH, height: int = HEIGHT) -> None:
    """Draw the top of a page into a PNG file. Raises RuntimeError with Chromium's words."""
    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder, "page.png")
        places = (f"--user-data-dir={folder}/profile", f"--screenshot={drawn}", f"--window-size={width},{height}")
        done = subprocess.run(
            [chromium, *FLAGS, *places, page.resolve().as_uri()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=LIMIT_S,
        )
        if done.returncode or not drawn.exists():
            raise RuntimeError(f"{chromium} drew nothing (exit {done.returncode}): {done.stderr[-2000:]}")
        with Image.open(drawn) as picture:
            # A palette makes the file a third; an octree keeps the lines' colours, which the median cut does not.
            few = picture.convert("RGB").quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
            few.save(target, optimize=True)


def main() -> int:
    """Read the arguments, take the picture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run_dir", type=Path, help="directory of a run or a sweep (it holds report.html)")
    parser.add_argument("target", type=Path, help="PNG file to write")
    parser.add_argument("--width", type=int, default=WIDTH)
    parser.add_argument("--height", type=int, help=f"default: {HEIGHT}, of a sweep {SWEEP_HEIGHT}")
    arguments = parser.parse_args()
    page = arguments.run_dir / "report.html"
    chromium = find_chromium()
    if not page.is_file():
        print(f"{page} is missing: `cosim report {arguments.run_dir}` makes it", file=sys.stderr)
        return 2
    if chromium is None:
        print(f"no Chromium ({', '.join(NAMES)}) is installed: apt-get install chromium", file=sys.stderr)
        return 2
    usual = SWEEP_HEIGHT if (arguments.run_dir / "sweep.json").is_file() else HEIGHT
    take(chromium, page, arguments.target, arguments.width, arguments.height or usual)
    return 0


if __name__ == "__main__":
    sys.exit(main())
