"""The time line: requests of each tier and steps of each engine on one axis, as inline SVG."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape

from cosim.clock import NS_PER_MS, NS_PER_S
from cosim.results.charts import ticks
from cosim.results.records import RequestRecord, StepRecord, StepsLine
from cosim.results.sla import met

WIDTH = 1160
LEFT = 170
RIGHT = 14
WINDOW_S = 60.0
MAX_REQUESTS = 1_500
MAX_STEPS = 8_000
MAX_LANES = 8
LANE = 11
ENGINE_ROW = 20

COLOURS = {
    "every deadline met": "#2f9e44",
    "some deadlines met": "#d9b310",
    "no deadline met": "#e8771a",
    "error": "#d6336c",
    "timeout": "#a61e2b",
    "rejected": "#9c36b5",
    "cancelled": "#9aa0a6",
}
STEP_COLOURS = {"step with prefill": "#4a63b0", "step of decodes only": "#9db3e0"}


@dataclass(frozen=True, slots=True)
class Timeline:
    """The drawing, where it ends, and what it leaves out."""

    svg: str
    window_s: float
    notes: list[str]


@dataclass(slots=True)
class _Bar:
    tier: str
    start_ns: int
    end_ns: int
    kind: str
    title: str
    warmup: bool


@dataclass(slots=True)
class _Steps:
    """Starts and durations of an engine's steps, by kind."""

    kinds: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: {kind: [] for kind in STEP_COLOURS})


def kind_of(record: RequestRecord, deadlines_ns: Iterable[int]) -> str:
    """The key of COLOURS that a request is drawn with."""
    if record.status != "ok":
        return record.status
    hits = [met(record, deadline_ns) for deadline_ns in deadlines_ns]
    if all(hits):
        return "every deadline met"
    return "some deadlines met" if any(hits) else "no deadline met"


def timeline(
    requests: Iterable[RequestRecord],
    steps: Iterable[StepsLine],
    tiers: dict[str, list[str]],
    deadlines_ns: dict[str, int],
) -> Timeline:
    """Draw the first WINDOW_S seconds, or less where they hold more than MAX_REQUESTS requests or MAX_STEPS steps.

    `tiers` names the engines of each tier; both are drawn in its order, those that it does not name after them.
    """
    limit_ns = int(WINDOW_S * NS_PER_S)
    bars, more_requests = _bars(requests, deadlines_ns, limit_ns)
    marks, more_steps = _marks(steps, limit_ns)
    notes = []
    end_ns = max([bar.end_ns for bar in bars] + [start + duration for _, start, duration, _ in marks], default=0)
    shown_ns = min(limit_ns, end_ns)
    if end_ns > limit_ns or more_requests or more_steps:
        notes.append(f"Only the first {WINDOW_S:g} s are drawn.")
    if len(bars) > MAX_REQUESTS:
        shown_ns = min(shown_ns, bars[MAX_REQUESTS].start_ns)
        notes = [f"Only the first {shown_ns / NS_PER_S:.3g} s are drawn: they hold {MAX_REQUESTS} requests."]
    if len(marks) > MAX_STEPS and marks[MAX_STEPS][1] < shown_ns:
        shown_ns = marks[MAX_STEPS][1]
        notes = [f"Only the first {shown_ns / NS_PER_S:.3g} s are drawn: they hold {MAX_STEPS} steps."]
    if shown_ns <= 0:
        return Timeline("", 0.0, ["No request ended."])
    bars = [bar for bar in bars if bar.start_ns < shown_ns]
    engines: dict[str, _Steps] = {}
    for engine, start_ns, duration_ns, kind in marks:
        if start_ns < shown_ns:
            engines.setdefault(engine, _Steps()).kinds[kind].append((start_ns, duration_ns))
    named = [name for names in tiers.values() for name in names if name in engines]
    engine_order = [*named, *sorted(set(engines) - set(named))]
    tier_order = [*tiers, *sorted({bar.tier for bar in bars} - set(tiers))]
    svg, crowded = _draw(bars, {name: engines[name] for name in engine_order}, tier_order, shown_ns)
    notes += [f"More than {MAX_LANES} requests of {tier} overlap; the last lane holds the rest." for tier in crowded]
    return Timeline(svg, shown_ns / NS_PER_S, notes)


def _bars(requests: Iterable[RequestRecord], deadlines_ns: dict[str, int], limit_ns: int) -> tuple[list[_Bar], bool]:
    bars: list[_Bar] = []
    more = False
    for record in requests:
        if record.t_scheduled_ns >= limit_ns:
            more = True
            continue
        kind = kind_of(record, deadlines_ns.values())
        title = (
            f"{record.request_id} {record.status}, scheduled {record.t_scheduled_ns / NS_PER_S:.3f} s, "
            f"{record.e2el_scheduled_ns / NS_PER_MS:.1f} ms, {kind}" + (", warm-up" if record.warmup else "")
        )
        bars.append(_Bar(record.tier or "(none)", record.t_scheduled_ns, record.t_end_ns, kind, title, record.warmup))
    bars.sort(key=lambda bar: (bar.start_ns, bar.title))
    return bars, more


def _marks(steps: Iterable[StepsLine], limit_ns: int) -> tuple[list[tuple[str, int, int, str]], bool]:
    prefill, decode = STEP_COLOURS
    marks: list[tuple[str, int, int, str]] = []
    more = False
    for line in steps:
        if not isinstance(line, StepRecord):
            continue
        if line.t_start_ns >= limit_ns:
            more = True
            continue
        kind = prefill if line.signature.prefill_tokens else decode
        marks.append((line.engine, line.t_start_ns, line.duration_ns, kind))
        # steps.jsonl is written in the order of virtual time but for steps that overlap, so what follows is later.
        if len(marks) >= 4 * MAX_STEPS:
            break
    marks.sort(key=lambda mark: mark[1])
    return marks, more


def _draw(bars: list[_Bar], engines: dict[str, _Steps], tiers: list[str], shown_ns: int) -> tuple[str, list[str]]:
    labels: list[str] = []
    shapes: list[str] = []
    crowded: list[str] = []
    y = 6
    for tier in tiers:
        lanes: list[int] = []
        placed: list[tuple[_Bar, int]] = []
        for bar in (bar for bar in bars if bar.tier == tier):
            lane = next((k for k, free_ns in enumerate(lanes) if free_ns <= bar.start_ns), len(lanes))
            if lane >= MAX_LANES:
                lane = MAX_LANES - 1
                if tier not in crowded:
                    crowded.append(tier)
            if lane == len(lanes):
                lanes.append(0)
            lanes[lane] = max(lanes[lane], bar.end_ns)
            placed.append((bar, lane))
        rows = max(len(lanes), 1)
        labels.append(_label(y + rows * LANE / 2 + 4, tier))
        shapes += [_request(bar, y + lane * LANE) for bar, lane in placed]
        y += rows * LANE + 8
    if engines:
        labels.append(f'<line class="grid" x1="0" y1="{y}" x2="{WIDTH}" y2="{y}"/>')
        y += 6
    for engine, steps in engines.items():
        labels.append(_label(y + ENGINE_ROW / 2 + 2, engine))
        for kind, spans in steps.kinds.items():
            if spans:
                # One path for all: thousands of rectangles would make the page slow.
                path = "".join(
                    f"M{_ms(start)} {y}h{max(duration / NS_PER_MS, 0.001):.3f}v{ENGINE_ROW - 4}"
                    f"h-{max(duration / NS_PER_MS, 0.001):.3f}z"
                    for start, duration in spans
                )
                shapes.append(f'<path fill="{STEP_COLOURS[kind]}" d="{path}"><title>{escape(kind)}</title></path>')
        y += ENGINE_ROW
    width = WIDTH - LEFT - RIGHT
    shown_ms = shown_ns / NS_PER_MS
    axis = "".join(
        f'<line class="grid" x1="{LEFT + tick * 1000 / shown_ms * width:.1f}" y1="0" '
        f'x2="{LEFT + tick * 1000 / shown_ms * width:.1f}" y2="{y}"/>'
        f'<text class="tick" x="{LEFT + tick * 1000 / shown_ms * width:.1f}" y="{y + 16}" '
        f'text-anchor="middle">{tick:g}</text>'
        for tick in ticks(0, shown_ns / NS_PER_S, 10)
    )
    svg = (
        f'<svg class="chart timeline" viewBox="0 0 {WIDTH} {y + 34}" width="{WIDTH}" height="{y + 34}" role="img" '
        'aria-label="Requests and engine steps over virtual time">'
        f'<g class="axis">{axis}</g>'
        f'<text class="tick" x="{WIDTH - RIGHT}" y="{y + 31}" text-anchor="end">virtual time, s</text>'
        + "".join(labels)
        + f'<svg class="plot" x="{LEFT}" y="0" width="{width}" height="{y}" viewBox="0 0 {shown_ms:.3f} {y}" '
        f'preserveAspectRatio="none"><rect class="catch" x="0" y="0" width="{shown_ms:.3f}" height="{y}"/>'
        + "".join(shapes)
        + "</svg></svg>"
    )
    return svg, crowded


def _request(bar: _Bar, y: int) -> str:
    length = max((bar.end_ns - bar.start_ns) / NS_PER_MS, 0.001)
    fade = ' opacity="0.45"' if bar.warmup else ""
    return (
        f'<rect x="{_ms(bar.start_ns)}" y="{y}" width="{length:.3f}" height="{LANE - 2}" '
        f'fill="{COLOURS[bar.kind]}"{fade}>'
        f"<title>{escape(bar.title)}</title></rect>"
    )


def _label(y: float, text: str) -> str:
    return f'<text class="label" x="{LEFT - 8}" y="{y:.1f}" text-anchor="end">{escape(text)}</text>'


def _ms(t_ns: int) -> str:
    return f"{t_ns / NS_PER_MS:.3f}"
