"""Asynchronous scheduling in virtual time: batch k + 1 is fixed when batch k starts.

vLLM's scheduler without a forward pass, charged with round times: 2 ms front end, 10 ms for a batch with a prefill,
5 ms for another, 1 ms egress. Prompts arrive at 23 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cosim.assembly import Assembly
from cosim.bridge.engine_messages import ProfiledExecutor, Signature
from cosim.clock import Agenda
from cosim.inference.base import Engine
from cosim.inference.profiled import ProfiledEngine
from cosim.inference.replay import Recording, ReplayEngine
from cosim.inference.vllm import EngineHost
from cosim.profile.base import Charge, ChunkPosition
from cosim.serving import Recorder, Serving
from tests.live.vllm_host import MODEL, decode, engine, profiled, running_host
from tests.lockstep import MS, Recorded, chat, lines, scenario, simulate, stub

pytestmark = pytest.mark.vllm

Observe = Callable[[int, str], None]


class RoundTimes:
    """A profile of round times."""

    label = "round times"
    executor = ProfiledExecutor(1 << 26, False, {})

    def step(self, signature: Signature, draw: float) -> Charge:
        return Charge((10 if signature.prefill_tokens else 5) * MS, "predicted")

    def frontend(self, *, prompt_tokens: int, encoder_tokens: int, images: int, draw: float) -> Charge:
        return Charge(2 * MS, "predicted")

    def egress(self, position: ChunkPosition, draw: float) -> Charge:
        return Charge(1 * MS, "predicted")

    def describe(self) -> dict[str, Any]:
        return {}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineHost]:
    modes = {"synchronous": False, "asynchronous": True, "given up": True}
    arguments: dict[str, Any] = {"max_num_batched_tokens": 32, "enable_prefix_caching": False}
    engines = [
        profiled(name, async_scheduling=mode, served_model_name="stub", **arguments) for name, mode in modes.items()
    ]
    with running_host(tmp_path_factory.mktemp("host"), *engines) as running:
        yield running


def run(data: dict[str, Any], edge: Engine) -> Recorded:
    """A scenario whose tier `edge` is served by an engine of ours."""

    class WithEdge(Assembly):
        def servings(
            self, agenda: Agenda, recorder: Recorder, observe: Observe = lambda t_ns, text: None
        ) -> dict[str, Serving]:
            made = super().servings(agenda, recorder, observe)
            made["edge"] = Serving(edge, hardware=None, agenda=agenda, recorder=recorder, observe=observe)
            return made

    return simulate(data, WithEdge)


def run_profiled(host: EngineHost, name: str, data: dict[str, Any]) -> Recorded:
    charged = ProfiledEngine(engine(host, name), RoundTimes(), seed=0, time_scale=1.0)
    charged.name = "edge"
    return run(data, charged)


def asks_once(name: str, **overrides: Any) -> dict[str, Any]:
    return chat(name, arrivals={"kind": "closed", "think_time": "0ms", "think": "constant"}, **overrides)


def two_requests() -> dict[str, Any]:
    clients = [asks_once("a", output_tokens=3), asks_once("b", output_tokens=2)]
    return scenario(duration="1ms", clients=clients)


def queue_times_ms(recorded: Recorded) -> list[tuple[int, float, float]]:
    """Each time, and sum and count of vLLM's histogram of queue times at it; milliseconds."""
    sums, counts = (
        [
            (t_ns // MS, value)
            for t_ns, metric, value in recorded.gauges
            if metric == f"request_queue_time_seconds_{end}"
        ]
        for end in ("sum", "count")
    )
    return [(t_ms, round(total * 1000), n) for (t_ms, total), (_, n) in zip(sums, counts, strict=True)]


def on_edge(recorded: Recorded) -> str:
    """What happened at the engine."""
    return "\n".join(line for line in recorded.events().splitlines() if " step " in line or " frontend " in line)


def test_without_it_a_request_joins_the_next_batch(host: EngineHost) -> None:
    recorded = run_profiled(host, "synchronous", two_requests())
    assert on_edge(recorded) == lines("""
        25 frontend a-0-000000
        25 step edge a-0-000000:32
        27 frontend b-0-000000
        35 step done edge
        35 step edge a-0-000000:5 b-0-000000:27
        45 step done edge
        45 step edge a-0-000000:1 b-0-000000:10
        55 step done edge
        55 step edge a-0-000000:1 b-0-000000:1
        60 step done edge
    """)
    assert queue_times_ms(recorded) == [(35, 0, 1), (45, 8, 2)]
    assert [step.in_flight for step in recorded.steps("edge")] == [False] * 4


def test_a_request_that_arrives_during_a_batch_is_in_the_one_after_the_next(host: EngineHost) -> None:
    """The batch of a's last 5 tokens was fixed at 25; that of its first decode was fixed at 35 and takes b along."""
    recorded = run_profiled(host, "asynchronous", two_requests())
    assert on_edge(recorded) == lines("""
        25 frontend a-0-000000
        25 step edge a-0-000000:32
        27 frontend b-0-000000
        35 step done edge
        35 step edge a-0-000000:5
        45 step done edge
        45 step edge a-0-000000:1 b-0-000000:31
        55 step done edge
        55 step edge a-0-000000:1 b-0-000000:6
        65 step done edge
        65 step edge b-0-000000:1
        70 step done edge
    """)
    # As vLLM has it, b was in the queue until it was scheduled at 35, though its first step started at 45.
    assert queue_times_ms(recorded) == [(35, 0, 1), (55, 8, 2)]
    assert [request.parts["queue"] // MS for request in recorded.requests] == [0, 18]
    assert [step.in_flight for step in recorded.steps("edge")] == [True, True, True, True, False]


def test_a_batch_of_nothing_takes_no_time(host: EngineHost) -> None:
    """Beside the batch that ends a, an empty one was fixed: b, which arrived at 27, starts at 35 all the same."""
    clients = [asks_once(name, output_tokens=1, prompt_tokens=4) for name in ("a", "b")]
    recorded = run_profiled(host, "asynchronous", scenario(duration="1ms", clients=clients))
    assert on_edge(recorded) == lines("""
        25 frontend a-0-000000
        25 step edge a-0-000000:17
        27 frontend b-0-000000
        35 step done edge
        35 step edge b-0-000000:17
        45 step done edge
    """)
    assert [step.in_flight for step in recorded.steps("edge")] == [False, False]


def test_a_batch_in_flight_is_executed_though_its_request_has_gone(host: EngineHost) -> None:
    """The client of a gives up at 28 ms, the server learns of it at 37: a's decode was fixed at 35."""
    clients = [asks_once("a", output_tokens=9, timeout="28ms"), asks_once("b", tier="cloud")]
    data = scenario(duration="1ms", clients=clients)
    data["tiers"]["cloud"] = {"path": "cloud", "engine": stub()}
    recorded = run_profiled(host, "given up", data)
    assert (
        on_edge(recorded).splitlines()[:8]
        == lines("""
        25 frontend a-0-000000
        25 step edge a-0-000000:32
        35 step done edge
        35 step edge a-0-000000:5
        45 step done edge
        45 step edge a-0-000000:1
        50 step done edge
        85 frontend b-0-000000
    """).splitlines()
    )
    ghost = recorded.steps("edge")[-1]
    assert (ghost.signature, ghost.tokens, ghost.in_flight) == (decode(37), {}, False)
    repeated = run(data, ReplayEngine("edge", MODEL, Recording(recorded.lines, ["edge"], prompts=False)))
    assert (repeated.events(), repeated.requests) == (recorded.events(), recorded.requests)
