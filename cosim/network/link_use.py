"""What one direction of a link did in each window of virtual time, as rows of a run's time series.

Windows are 100 ms long and aligned to multiples of 100 ms; an instant on a boundary belongs to the window that it ends.
`link_bytes`: sent in the window; a packet whose transmission crosses a boundary has a share in each window.
`link_max_queue_bytes`: the largest backlog that waited. `link_dropped_packets`: by queue and loss. A value of 0 has no
row.
"""

from __future__ import annotations

from cosim.bridge.messages import Kpi

WINDOW_NS = 100_000_000


def link_kpi(t_ns: int, link: str, up: bool, n_bytes: int, max_queue_bytes: int, dropped_packets: int) -> Kpi:
    """The row of a window that ends at a time. `link`: `access/UE`, `core` or `paths.NAME`."""
    source, _, ue = link.partition("/")
    labels = {"direction": "up" if up else "down", **({"ue": ue} if ue else {})}
    values = {
        "link_bytes": n_bytes,
        "link_max_queue_bytes": max_queue_bytes,
        "link_dropped_packets": dropped_packets,
    }
    return Kpi(t_ns, source, labels, {metric: value for metric, value in values.items() if value})


class LinkUse:
    """The windows of a direction that sends in order and drops nothing.

    A window is closed at the first call for a later time, so calls come in order of time.
    """

    def __init__(self, link: str, *, up: bool) -> None:
        self._link = link
        self._up = up
        self._window_end_ns = WINDOW_NS
        self._start_ns = 0  # of the latest transmission
        self._end_ns = 0
        self._size = 0
        self._unsent = 0  # of its bytes, those in no window yet
        self._waiting = 0
        self._sent = 0  # in this window
        self._max_waiting = 0
        self._closed: list[Kpi] = []

    def send(self, start_ns: int, end_ns: int, n_bytes: int) -> None:
        """So many bytes are sent from one time to another."""
        self._move_to(start_ns)
        self._sent += self._unsent
        self._start_ns, self._end_ns = start_ns, end_ns
        self._size = self._unsent = n_bytes

    def queue(self, now_ns: int, waiting_bytes: int) -> None:
        """The backlog from now on."""
        self._move_to(now_ns)
        self._waiting = waiting_bytes
        self._max_waiting = max(self._max_waiting, waiting_bytes)

    def unsent_bytes(self, now_ns: int) -> int:
        """Bytes of the latest transmission that are still to be sent."""
        if now_ns >= self._end_ns:
            return 0
        return -(-self._size * (self._end_ns - now_ns) // (self._end_ns - self._start_ns))

    def take(self, now_ns: int, *, cut: bool) -> list[Kpi]:
        """Close the windows that ended before now, and with `cut` the one under way, at now; give and forget them."""
        self._move_to(now_ns)
        if cut:
            self._close(now_ns)
        closed, self._closed = self._closed, []
        return closed

    def _move_to(self, now_ns: int) -> None:
        while self._window_end_ns < now_ns:
            self._close(self._window_end_ns)
            if self._waiting or self._unsent:
                self._window_end_ns += WINDOW_NS
            else:
                self._window_end_ns = window_end_ns(now_ns)

    def _close(self, t_ns: int) -> None:
        unsent = min(self._unsent, self.unsent_bytes(t_ns))
        self._sent += self._unsent - unsent
        self._unsent = unsent
        if self._sent or self._max_waiting:
            self._closed.append(link_kpi(t_ns, self._link, self._up, self._sent, self._max_waiting, 0))
        self._sent, self._max_waiting = 0, self._waiting


def window_end_ns(now_ns: int) -> int:
    """The end of the window that holds an instant."""
    return -(-now_ns // WINDOW_NS) * WINDOW_NS
