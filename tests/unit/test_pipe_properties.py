"""The network's double under whatever is done to it: bytes add up, order and time hold."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.bridge.messages import Closed, Delivered, Delivery, Direction, Link
from cosim.network.knobs import direction_path
from cosim.network.pipe import PipeNetwork
from tests.unit.test_pipe import FAR, pipe

DIRECTIONS = st.builds(
    Direction,
    delay_ns=st.integers(0, 30),
    rate_bps=st.none() | st.integers(10**8, 10**11),
    jitter_ns=st.integers(0, 20),
)
LINKS = st.builds(Link, uplink=DIRECTIONS, downlink=DIRECTIONS)
ACTION_NAMES = ["open", "up", "up", "down", "down", "close", "server-close", "advance", "advance", "settle", "set"]
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(ACTION_NAMES),
        st.integers(0, 40),
        st.booleans(),
        DIRECTIONS,
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(access=LINKS, core=LINKS, edge=LINKS, tls=st.booleans(), actions=ACTIONS)
def test_whatever_is_done_bytes_add_up_and_order_and_time_hold(
    access: Link, core: Link, edge: Link, tls: bool, actions: list[tuple[str, int, bool, Direction]]
) -> None:
    network = pipe(ues=("u", "v"), access=access, core=core, edge=edge, tls=tls)
    now_ns, message = 0, 0
    open_: list[int] = []
    usable: set[int] = set()
    count = 0
    sent: dict[int, tuple[int, int, bool, int]] = {}
    arrived: list[Delivered] = []
    ended: list[int] = []

    def take(deliveries: list[Delivery], horizon_ns: int) -> None:
        for delivery in deliveries:
            assert delivery.t_ns <= horizon_ns
            if isinstance(delivery, Delivered):
                arrived.append(delivery)
            elif isinstance(delivery, Closed):
                usable.discard(delivery.connection)
                assert delivery.up or delivery.connection not in open_
                assert delivery.connection not in ended
                ended.append(delivery.connection)

    for action, number, wakes, values in actions:
        if action == "open":
            count += 1
            network.open(count, "uv"[number % 2], "edge", now_ns)
            open_.append(count)
            usable.add(count)
        elif action in ("up", "down") and usable:
            connection = sorted(usable)[number % len(usable)]
            if action == "down" or connection in open_:
                message += 1
                sent[message] = (connection, number, action == "up", now_ns)
                network.send(connection, message, number, now_ns, up=action == "up", wakes=wakes)
        elif action == "close" and open_:
            network.close(open_.pop(number % len(open_)), now_ns, up=True, wakes=wakes)
        elif action == "server-close" and usable:
            connection = sorted(usable)[number % len(usable)]
            network.close(connection, now_ns, up=False, wakes=True)
            open_ = [other for other in open_ if other != connection]
        elif action == "advance":
            reached_ns, deliveries = network.advance(now_ns + number)
            assert now_ns <= reached_ns <= now_ns + number
            now_ns = reached_ns
            take(deliveries, now_ns)
        elif action == "settle":
            take(network.settle(now_ns), now_ns)
        elif action == "set":
            link = ("access", "core", "paths.edge")[number % 3]
            network.set(direction_path(link, up=wakes), values, at_ns=now_ns)
        # A server does not know of a close before it has arrived there; what it writes is discarded.
        take(network.settle(now_ns), now_ns)
        check_account(network, sent)
    take(network.settle(FAR), FAR)
    check_account(network, sent)
    for delivery in arrived:
        connection, _, up, sent_ns = sent[delivery.message]
        assert delivery.t_ns > sent_ns
        assert delivery.t_ns >= sent_ns + network.minimum_delay_ns("edge", up=up)
        assert sent_ns <= delivery.emitted_ns
        assert delivery.t_ns == delivery.emitted_ns + sum(delivery.hops_ns)
        assert min(delivery.hops_ns) >= 0
    assert [delivery.t_ns for delivery in arrived] == sorted(delivery.t_ns for delivery in arrived)
    for connection in range(1, count + 1):
        for up in (True, False):
            order = [d.message for d in arrived if sent[d.message][0] == connection and sent[d.message][2] == up]
            assert order == sorted(order)
    delivered = {delivery.message for delivery in arrived}
    assert len(delivered) == len(arrived)
    for connection in open_:
        assert delivered >= {number for number, (on, _, _, _) in sent.items() if on == connection}


def check_account(network: PipeNetwork, sent: dict[int, tuple[int, int, bool, int]]) -> None:
    for entry in network.account().connections:
        assert entry.sent == entry.delivered + entry.lost + entry.discarded
        assert min(entry.delivered, entry.lost, entry.discarded) >= 0
        assert entry.sent == sum(
            n_bytes for on, n_bytes, up, _ in sent.values() if (on, up) == (entry.connection, entry.up)
        )


@settings(max_examples=100, deadline=None)
@given(access=LINKS, core=LINKS, edge=LINKS, sends=st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.booleans())))
def test_how_often_the_network_is_asked_changes_nothing(
    access: Link, core: Link, edge: Link, sends: list[tuple[int, bool, bool]]
) -> None:
    def arrivals(stride_ns: int) -> list[Delivery]:
        network = pipe(ues=("u", "v"), access=access, core=core, edge=edge)
        network.open(1, "u", "edge", 0)
        network.open(2, "v", "edge", 0)
        found: list[Delivery] = []
        now_ns = t_ns = 0
        for message, (gap_ns, up, wakes) in enumerate(sends):
            t_ns += gap_ns
            while now_ns < t_ns:
                now_ns, deliveries = network.advance(min(t_ns, now_ns + stride_ns))
                found += deliveries
            network.send(1 + message % 2, message, 30, t_ns, up=up, wakes=wakes)
        return [*found, *network.settle(FAR)]

    assert arrivals(1) == arrivals(1000)
