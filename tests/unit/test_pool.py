"""Which connection a request gets."""

from __future__ import annotations

from cosim.http.pool import ConnectionPool


def test_an_overlapping_request_opens_a_new_connection() -> None:
    pool = ConnectionPool()
    first, new_first = pool.acquire("cam", "edge")
    second, new_second = pool.acquire("cam", "edge")
    assert (new_first, new_second) == (True, True)
    assert first.number != second.number
    assert (first.client, first.path, first.t_connected_ns, first.closed) == ("cam", "edge", None, False)


def test_an_idle_connection_is_used_again_the_one_opened_first() -> None:
    pool = ConnectionPool()
    first, second, third = (pool.acquire("cam", "edge")[0] for _ in range(3))
    pool.release(third)
    pool.release(first)
    pool.release(second)
    assert [pool.acquire("cam", "edge") for _ in range(3)] == [(first, False), (second, False), (third, False)]
    assert pool.acquire("cam", "edge")[1]


def test_connections_belong_to_one_client_and_one_path() -> None:
    pool = ConnectionPool()
    connection, _ = pool.acquire("cam", "edge")
    pool.release(connection)
    assert pool.acquire("cam", "cloud")[1]
    assert pool.acquire("other", "edge")[1]
    assert pool.acquire("cam", "edge") == (connection, False)


def test_a_connection_that_closed_is_not_used_again() -> None:
    pool = ConnectionPool()
    first, second = (pool.acquire("cam", "edge")[0] for _ in range(2))
    pool.release(first)
    pool.release(second)
    pool.remove(first)
    pool.remove(first)
    assert pool.acquire("cam", "edge") == (second, False)
    fresh, new = pool.acquire("cam", "edge")
    assert new
    assert fresh.number == 3


def test_requests_of_a_client_share_a_multiplexed_connection() -> None:
    pool = ConnectionPool({"edge"})
    first, new = pool.acquire("cam", "edge")
    assert (new, first.multiplexed) == (True, True)
    assert pool.acquire("cam", "edge") == (first, False)
    assert pool.acquire("other", "edge")[1]
    assert not pool.acquire("cam", "cloud")[0].multiplexed
    pool.release(first)
    assert pool.acquire("cam", "edge") == (first, False)
    pool.remove(first)
    assert pool.acquire("cam", "edge")[1]
