"""Perfetto trace files: lanes for slices that overlap, texts that are written once, memory that does not grow."""

from __future__ import annotations

import io
import subprocess
import sys
from itertools import count, pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from cosim.export.trace_file import Lanes, TraceFile
from tests.perfetto_trace import read_trace

SPANS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 10)).map(lambda s: (s[0], s[0] + s[1])), max_size=40)

MANY = """
import io, resource
from cosim.export.trace_file import TraceFile
class Nowhere(io.BytesIO):
    def write(self, content): return len(content)
trace = TraceFile(Nowhere())
track = trace.track(trace.process("p"), "t")
def write(n):
    for k in range(n):
        trace.begin(track, k, "c", f"request {k}", unique=True, arguments={"status": "ok", "n": k}, flows=[k])
        trace.end(track, k)
write(20_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
write(100_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def lanes(spans: list[tuple[int, int]]) -> dict[int, list[tuple[int, int]]]:
    numbers = count()
    taken = Lanes(lambda: next(numbers))
    found: dict[int, list[tuple[int, int]]] = {}
    for span in spans:
        found.setdefault(taken.take(*span), []).append(span)
    return found


@given(SPANS)
def test_slices_of_a_lane_follow_one_another(spans: list[tuple[int, int]]) -> None:
    for lane in lanes(spans).values():
        assert all(before[1] <= after[0] for before, after in pairwise(lane))


@given(SPANS)
def test_slices_in_order_of_their_ends_take_no_lane_too_many(spans: list[tuple[int, int]]) -> None:
    spans = sorted((span for span in spans if span[1] > span[0]), key=lambda span: span[1])
    most = max((sum(start <= t < end for start, end in spans) for t in range(41)), default=0)
    assert len(lanes(spans)) == most


def test_a_text_that_comes_again_is_written_once(tmp_path: Path) -> None:
    out = io.BytesIO()
    trace = TraceFile(out)
    track = trace.track(trace.process("p"), "t")
    for t_ns in range(5_000):
        trace.begin(track, t_ns, "category of it", "name of it", arguments={"argument of it": "value of it", "k": None})
        trace.end(track, t_ns + 1)
    trace.close()
    content = out.getvalue()
    for text in (b"category of it", b"name of it", b"argument of it", b"value of it"):
        assert content.count(text) == 1
    (tmp_path / "trace").write_bytes(content)
    slices = read_trace(tmp_path / "trace").slices
    assert [found.start_ns for found in slices] == list(range(5_000))
    assert all(found.name == "name of it" for found in slices)
    assert all(found.arguments == {"argument of it": "value of it"} for found in slices)


def test_memory_does_not_grow_with_the_trace() -> None:
    done = subprocess.run([sys.executable, "-c", MANY], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 10_000  # kB; the trace is of 10 MB, its packets take 100 MB.
