"""The waits between attempts, beside the openai SDK's own."""

from __future__ import annotations

from typing import Any

import pytest

from cosim.clients.backoff import Backoff

MS = 1_000_000


def sdk_delays_ms(draw: float, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the SDK waits before each of seven retries when its random number is `draw`."""
    base = pytest.importorskip("openai._base_client", reason="the openai SDK is not installed")
    from openai import OpenAI
    from openai._models import FinalRequestOptions

    monkeypatch.setattr(base, "random", lambda: draw)
    options = FinalRequestOptions.construct(method="post", url="/", max_retries=7)
    with OpenAI(api_key="none", base_url="http://127.0.0.1:9", max_retries=7) as client:
        return [round(client._calculate_retry_timeout(7 - taken, options) * 1000) for taken in range(7)]


def test_the_bounds_are_the_openai_sdks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sdk_delays_ms(0.0, monkeypatch) == [500, 1000, 2000, 4000, 8000, 8000, 8000]
    longest = sdk_delays_ms(0.0, monkeypatch)
    least = sdk_delays_ms(1.0, monkeypatch)
    draws = [[Backoff(seed, "u").delay_ns(taken) / MS for taken in range(7)] for seed in range(300)]
    for taken in range(7):
        delays = [drawn[taken] for drawn in draws]
        assert least[taken] <= min(delays) < least[taken] * 1.01
        assert longest[taken] * 0.99 < max(delays) <= longest[taken]


def test_the_sdk_tries_as_often_as_a_scenario_does_unless_told_otherwise() -> None:
    constants = pytest.importorskip("openai._constants", reason="the openai SDK is not installed")
    from cosim.scenario.arrivals import ClosedLoop
    from cosim.scenario.clients import Chat

    group: Any = Chat(name="u", kind="chat", tier="edge", arrivals=ClosedLoop(kind="closed"))
    assert group.max_retries == constants.DEFAULT_MAX_RETRIES


def test_waits_depend_on_the_seed_and_the_client() -> None:
    def delays(seed: int, client: str) -> list[int]:
        backoff = Backoff(seed, client)
        return [backoff.delay_ns(0) for _ in range(5)]

    assert delays(1, "u-0") == delays(1, "u-0")
    assert delays(1, "u-0") != delays(1, "u-1")
    assert delays(1, "u-0") != delays(2, "u-0")
    assert len(set(delays(1, "u-0"))) == 5
