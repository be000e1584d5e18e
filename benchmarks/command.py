"""What the command line of every benchmark has: values with units, --seed, --json, and an exit status that says which.

A benchmark's `main` makes its parser with `command_line`, and leaves the rest to `carry_out`:

    0    measured, and every target met
    1    measured, and a target missed
    2    wrong arguments
    3    not measured: what failed is on stderr
    130  Ctrl-C
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from benchmarks.errors import ArgumentsError, RigError
from cosim.bridge.errors import ChildError


class Outcome(NamedTuple):
    """What was measured, for --json and as lines for a reader, and whether every target is met."""

    result: dict[str, Any]
    lines: Sequence[str]
    met: bool = True


def command_line(description: str | None) -> argparse.ArgumentParser:
    """A parser whose help is the module's docstring, with --seed and --json."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--seed", type=count(0, 2**63 - 1), default=1, help="of all random streams (default 1)")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    return parser


def quantity(kind: Any) -> Callable[[str], int]:
    """A reader of a quantity with its unit, as in a scenario; a bare number is refused with both readings."""
    adapter = TypeAdapter(kind)

    def read(text: str) -> int:
        try:
            value: int = adapter.validate_python(text)
        except ValidationError as error:
            raise argparse.ArgumentTypeError(error.errors()[0]["msg"]) from None
        return value

    return read


def count(least: int, most: int = 1_000_000) -> Callable[[str], int]:
    """A reader of a whole number."""

    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)

    return read


def carry_out(parser: argparse.ArgumentParser, options: argparse.Namespace, measure: Callable[[], Outcome]) -> int:
    """Measure and print; returns the exit status."""
    try:
        outcome = measure()
        for line in [json.dumps(outcome.result)] if options.json else outcome.lines:
            print(line)
        sys.stdout.flush()
    except ArgumentsError as error:
        parser.error(str(error))
    except (RigError, ChildError, OSError) as error:
        print(f"{Path(sys.argv[0]).stem}: {error}", file=sys.stderr)
        with contextlib.suppress(OSError):
            sys.stdout.close()
        return 3
    except KeyboardInterrupt:
        return 130
    return 0 if outcome.met else 1
