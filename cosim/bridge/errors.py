"""Errors of the bridge: each names the peer and shows what it last wrote."""

from __future__ import annotations

from pathlib import Path

LOG_LINES_SHOWN = 15


def last_log_lines(log: Path, lines: int = LOG_LINES_SHOWN) -> list[str]:
    """The last lines of a child's log, read from its end so that its size does not matter."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 16_384))
            return file.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        return []


class BridgeError(Exception):
    """A message could not be sent, received or understood."""


class MessageError(BridgeError):
    """A message is refused; `kind` is what is counted."""

    def __init__(self, text: str, kind: str = "message out of order") -> None:
        self.kind = kind
        super().__init__(text)


class ChildError(BridgeError):
    """A child, or a host that stands for one, died, fell silent or reported a failure.

    `advice` says what to do next where the log does not help.
    """

    def __init__(self, role: str, what: str, log: Path, advice: str | None = None) -> None:
        self.role = role
        self.what = what
        self.log = log
        shown = last_log_lines(log)
        tail = "\n".join(f"    {line}" for line in shown) if shown else "    (it wrote nothing)"
        told = f"\n  next: {advice}" if advice else f"\n  last lines of {log.name}:\n{tail}\n  next: read {log}"
        super().__init__(f"{role} {what}{told}")
