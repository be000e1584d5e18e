"""A page in Chromium without a display, driven over DevTools' pipe: what it asked for, what it said, what it shows.

Protocol: JSON messages ended by a zero byte, on the file descriptors 3 (to Chromium) and 4 (from it).
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

from docs.screenshot import FLAGS

LIMIT_S = 60.0


class Page:
    """A page at 1280 px; `requests`, `said` and `broken` hold what it asked for, console messages, exceptions."""

    def __init__(self, chromium: str, folder: Path, url: str) -> None:
        self.requests: list[str] = []
        self.said: list[str] = []
        self.broken: list[str] = []
        self._seen: set[str] = set()
        self._buffer = b""
        self._calls = 0
        self._session: str | None = None
        read_end, self._commands = os.pipe()
        self._answers, write_end = os.pipe()
        # Bash puts them on 3 and 4; above 9 they are in each other's way nowhere.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (read_end, write_end)]
        command = ["bash", "-c", f'exec "$0" "$@" 3<&{ends[0]} 4>&{ends[1]}', chromium, *FLAGS]
        with open(folder / "chromium.log", "wb") as log:
            self._process = subprocess.Popen(
                [*command, "--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}", "about:blank"],
                pass_fds=ends,
                stdout=log,
                stderr=log,
            )
        for end in (read_end, write_end, *ends):
            os.close(end)
        try:
            self._open(url)
        except BaseException:
            self.close()
            raise

    def _open(self, url: str) -> None:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.resize(1280)
        self.call("Page.navigate", url=url)
        while "Page.loadEventFired" not in self._seen:
            self._take(self._receive())

    def resize(self, width: int) -> None:
        """Give the page another width in px."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)

    def media(self, media: str, **features: str) -> None:
        """Show the page on `screen` or in `print`, with features such as prefers_color_scheme."""
        named = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", media=media, features=named)

    def evaluate(self, expression: str) -> Any:
        """Value of a JavaScript expression; an exception in it fails the test."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; events that come before it are kept."""
        self._calls += 1
        message: dict[str, Any] = {"id": self._calls, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._calls:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return dict(answer["result"])
            self._take(answer)

    def close(self) -> None:
        """End Chromium; it leaves when its pipe is closed."""
        os.close(self._commands)
        try:
            self._process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._answers)

    def __enter__(self) -> Page:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._answers], [], [], LIMIT_S)
            assert ready, f"Chromium has said nothing for {LIMIT_S:g} s"
            piece = os.read(self._answers, 1 << 20)
            assert piece, f"Chromium has gone (exit {self._process.poll()})"
            self._buffer += piece
        message, _, self._buffer = self._buffer.partition(b"\0")
        content: dict[str, Any] = json.loads(message)
        return content

    def _take(self, event: dict[str, Any]) -> None:
        method, parameters = event.get("method", ""), event.get("params", {})
        self._seen.add(method)
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Runtime.consoleAPICalled":
            self.said.append(f"{parameters['type']}: {parameters['args']}")
        elif method == "Log.entryAdded":
            self.said.append(f"{parameters['entry']['level']}: {parameters['entry']['text']}")
        elif method == "Runtime.exceptionThrown":
            self.broken.append(json.dumps(parameters["exceptionDetails"]))
