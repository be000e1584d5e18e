"""HTTP/1.1 keep-alive connection pools, one for each client and server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Connection:
    """One connection of a client: one request at a time, `t_connected_ns` None until its handshakes are done."""

    number: int
    client: str
    path: str
    t_connected_ns: int | None = None
    closed: bool = False


class ConnectionPool:
    """Connections by client and path.

    An idle connection is used again, the one opened first (as httpcore's pool does); none idle opens a new one, so an
    overlapping request pays for a handshake and a cold congestion window.
    """

    def __init__(self) -> None:
        self._idle: dict[tuple[str, str], list[Connection]] = {}
        self._count = 0

    def acquire(self, client: str, path: str) -> tuple[Connection, bool]:
        """A connection for one request, and whether it is new."""
        idle = self._idle.get((client, path))
        if idle:
            connection = min(idle, key=lambda candidate: candidate.number)
            idle.remove(connection)
            return connection, False
        self._count += 1
        return Connection(self._count, client, path), True

    def release(self, connection: Connection) -> None:
        """Give a connection back after its answer; it is idle from now on."""
        self._idle.setdefault((connection.client, connection.path), []).append(connection)

    def remove(self, number: int) -> None:
        """Take an idle connection out: it is closed, or is about to be."""
        for idle in self._idle.values():
            idle[:] = [connection for connection in idle if connection.number != number]
