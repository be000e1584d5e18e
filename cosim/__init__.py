"""What a user of a real LLM server sees when a 5G cell and a WAN stand between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from cosim.results.frames import RunFrames, SweepFrames

__version__ = "0.1.0"


def read(directory: str | Path) -> RunFrames | SweepFrames:
    """The results in the directory of a run, or of a sweep, as pandas data frames; docs/analysis.md names the columns.

    Raises cosim.results.store.ResultsError if it holds neither.
    """
    from cosim.results import frames

    return frames.read(directory)
