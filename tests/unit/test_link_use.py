"""What the double's links did over time: shares of windows by hand, sums over random traffic, and when it is asked."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.bridge.messages import Direction, Link, Topology, Transport
from cosim.network.knobs import direction_path
from cosim.network.link_use import LinkUse
from cosim.network.pipe import PipeNetwork
from tests.link_rows import Row, check_sums, check_windows, of_link

MS = 1_000_000


def network(rows: list[Row], up: Direction) -> PipeNetwork:
    """UEs `u` and `v`; one path; only the access uplink has values."""
    free = Link(Direction(0), Direction(0))
    return PipeNetwork(
        Topology(
            ues=("u", "v"),
            access=Link(up, Direction(0)),
            core=free,
            paths={"edge": free},
            mtu_bytes=1400,
            transport=Transport(congestion_control="cubic", slow_start_after_idle=True, tls=False),
            seed=1,
            pcap_directory=None,
        ),
        gauge=lambda *row: rows.append(row),
    )


def test_a_message_counts_in_each_window_in_which_it_is_sent() -> None:
    rows: list[Row] = []
    pipe = network(rows, Direction(10 * MS, rate_bps=1_000_000))
    pipe.open(1, "u", "edge", 0)
    # 100 ms each, the second after the first.
    pipe.send(1, 1, 12_500, 50 * MS, up=True, wakes=True)
    pipe.send(1, 2, 12_500, 60 * MS, up=True, wakes=True)
    for _ in range(3):
        pipe.advance(1_000 * MS)
    account = pipe.account()
    assert of_link(rows, "access/u", "up") == [
        (100 * MS, "link_bytes", 6_250),
        (100 * MS, "link_max_queue_bytes", 12_500),
        (200 * MS, "link_bytes", 12_500),
        (200 * MS, "link_max_queue_bytes", 12_500),
        (300 * MS, "link_bytes", 6_250),
    ]
    assert of_link(rows, "core", "up") == [
        (200 * MS, "link_bytes", 12_500),
        (300 * MS, "link_bytes", 12_500),
    ]
    assert of_link(rows, "access/v", "up") == []
    check_sums(rows, account.links)


def test_the_account_cuts_the_window_under_way() -> None:
    rows: list[Row] = []
    pipe = network(rows, Direction(0, rate_bps=1_000_000))
    pipe.open(1, "u", "edge", 0)
    pipe.send(1, 1, 12_500, 0, up=True, wakes=True)
    pipe.send(1, 2, 500, 10 * MS, up=True, wakes=True)
    pipe.advance(30 * MS)
    cut = pipe.account()
    assert rows == [
        (30 * MS, "access", "link_bytes", {"direction": "up", "ue": "u"}, 3_750),
        (30 * MS, "access", "link_max_queue_bytes", {"direction": "up", "ue": "u"}, 500),
    ]
    uplink = next(entry for entry in cut.links if (entry.link, entry.up) == ("access/u", True))
    assert (uplink.packets, uplink.n_bytes, uplink.max_queue_bytes) == (1, 3_750, 500)
    pipe.advance(1_000 * MS)
    check_sums(rows, pipe.account().links)


def test_what_was_put_off_is_in_the_account() -> None:
    rows: list[Row] = []
    pipe = network(rows, Direction(0))
    pipe.open(1, "u", "edge", 0)
    pipe.send(1, 1, 10, 50 * MS, up=True, wakes=False)
    assert pipe.advance(150 * MS) == (150 * MS, [])
    account = pipe.account()
    assert of_link(rows, "access/u", "up") == [(100 * MS, "link_bytes", 10)]
    check_sums(rows, account.links)
    assert [delivery.t_ns for delivery in pipe.settle(150 * MS)] == [0, 50 * MS + 1]


def test_an_instant_on_a_boundary_belongs_to_the_window_that_it_ends() -> None:
    use = LinkUse("core", up=False)
    for t_ns in (0, 100 * MS, 200 * MS, 200 * MS + 1):
        use.send(t_ns, t_ns, 10)
    kpis = use.take(200 * MS + 1, cut=True)
    assert [(kpi.t_ns, kpi.values["link_bytes"]) for kpi in kpis] == [
        (100 * MS, 20),
        (200 * MS, 10),
        (200 * MS + 1, 10),
    ]


def test_a_backlog_is_seen_in_windows_in_which_nothing_else_happens_and_idle_time_is_not() -> None:
    use = LinkUse("core", up=True)
    use.queue(50 * MS, 7)
    use.queue(350 * MS, 0)
    use.send(10**18, 10**18, 10)
    kpis = use.take(10**18 + 1, cut=False)
    backlogs = [(i * 100 * MS, {"link_max_queue_bytes": 7}) for i in range(1, 5)]
    assert [(kpi.t_ns, kpi.values) for kpi in kpis] == [*backlogs, (10**18, {"link_bytes": 10})]


SENDS = st.lists(
    st.tuples(
        st.integers(0, 150 * MS),  # since the one before
        st.sampled_from([1, 2]),
        st.booleans(),  # up
        st.integers(1, 50_000),
        st.booleans(),  # consequential
        st.sampled_from([None, "access", "core"]),  # what gets another rate before
        st.sampled_from([None, 200_000, 5_000_000, 10_000_000_000]),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(sends=SENDS, pauses_ns=st.sampled_from([(7 * MS, 400 * MS), (100 * MS, 33 * MS)]))
def test_rows_add_up_to_the_account_however_often_the_network_is_asked(
    sends: list[tuple[int, int, bool, int, bool, str | None, int | None]], pauses_ns: tuple[int, int]
) -> None:
    def rows_of(pause_ns: int) -> list[Row]:
        rows: list[Row] = []
        pipe = network(rows, Direction(3 * MS, rate_bps=1_000_000, jitter_ns=MS))
        pipe.open(1, "u", "edge", 0)
        pipe.open(2, "v", "edge", 0)
        now_ns = t_ns = 0
        for message, (gap_ns, connection, up, n_bytes, wakes, link, rate_bps) in enumerate(sends):
            t_ns += gap_ns
            while now_ns < t_ns:
                now_ns, _ = pipe.advance(min(now_ns + pause_ns, t_ns))
            if link is not None:
                pipe.set(direction_path(link, up=up), Direction(0, rate_bps), at_ns=t_ns)
            pipe.send(connection, message, n_bytes, t_ns, up=up, wakes=wakes)
        end_ns = t_ns + 1_234 * MS
        while now_ns < end_ns:
            now_ns, _ = pipe.advance(min(now_ns + pause_ns, end_ns))
        check_sums(rows, pipe.account().links)
        check_windows(rows, end_ns)
        return rows

    assert rows_of(pauses_ns[0]) == rows_of(pauses_ns[1])
