"""Draw a run's waterfall as the README shows it: `python docs/waterfall.py RUN_DIR docs/waterfall.svg`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from cosim.results.charts import Bar, waterfall

STYLE = (
    "<style>text{font:12px sans-serif;fill:#24292f}.tick{fill:#57606a}.grid{stroke:#d0d7de}"
    ".inside{fill:#111;font-size:11px}</style>"
    '<rect width="100%" height="100%" fill="#ffffff"/>'
)


def main() -> None:
    """Read summary.json, write the picture."""
    directory, target = map(Path, sys.argv[1:])
    summary = json.loads((directory / "summary.json").read_text())
    picture = waterfall([Bar(name, tier["parts_ms"]) for name, tier in summary["tiers"].items()])
    head, _, rest = picture.partition(">")
    head = head.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    target.write_text(f"{head}>{STYLE}{rest}\n")


if __name__ == "__main__":
    main()
