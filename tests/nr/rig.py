"""A child process with the cell's C++, since nothing of the ns-3 process runs in another."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

CHILD = Path(__file__).with_name("child.py")


class CppError(Exception):
    """The code raised; the text is its traceback."""


class Cpp:
    """Sends code to the child; what the code leaves in `result` comes back. `values` are at hand by that name."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.nr.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=CHILD.parents[2],
        )

    def run(self, code: str, **values: Any) -> Any:
        """What the code leaves in `result`. Raises CppError."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"code": code, "values": values}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the child ended with status {self._process.wait()}"
        reply = json.loads(line)
        if "error" in reply:
            raise CppError(reply["error"])
        return reply["result"]

    def of(self, expression: str, **values: Any) -> Any:
        """Value of an expression."""
        return self.run(f"result = {expression}", **values)

    def close(self) -> None:
        """End the child."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()
