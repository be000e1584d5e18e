"""Connection pools as httpcore keeps them, one for each client and server."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(slots=True)
class Connection:
    """One connection of a client; `t_connected_ns` None until its handshakes are done.

    `multiplexed`: HTTP/2, so that requests share it. An HTTP/1.1 connection has one request at a time.
    """

    number: int
    client: str
    path: str
    multiplexed: bool = False
    t_connected_ns: int | None = None
    closed: bool = False


class ConnectionPool:
    """Connections by client and path.

    HTTP/1.1: an idle connection is used again, the one opened first (as httpcore's pool does); none idle opens a new
    one, so an overlapping request pays for a handshake and a cold congestion window. On paths with HTTP/2 all requests
    of a client share one connection.
    """

    def __init__(self, multiplexed: Collection[str] = ()) -> None:
        self._multiplexed = multiplexed
        self._available: dict[tuple[str, str], list[Connection]] = {}
        self._count = 0

    def acquire(self, client: str, path: str) -> tuple[Connection, bool]:
        """A connection for one request, and whether it is new."""
        available = self._available.setdefault((client, path), [])
        if available:
            connection = min(available, key=lambda candidate: candidate.number)
            if not connection.multiplexed:
                available.remove(connection)
            return connection, False
        self._count += 1
        connection = Connection(self._count, client, path, path in self._multiplexed)
        if connection.multiplexed:
            available.append(connection)
        return connection, True

    def release(self, connection: Connection) -> None:
        """Give a connection back whose last answer is complete; it is idle from now on."""
        if not connection.multiplexed:
            self._available[connection.client, connection.path].append(connection)

    def remove(self, connection: Connection) -> None:
        """Let no further request have a connection: it is closed, or is about to be."""
        available = self._available[connection.client, connection.path]
        if connection in available:
            available.remove(connection)
