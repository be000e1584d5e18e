"""One thing that `cosim doctor` looked at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """`ok` None: it is optional and absent, or works but could be better; `mend` is a command or None."""

    name: str
    ok: bool | None
    detail: str
    mend: str | None = None
