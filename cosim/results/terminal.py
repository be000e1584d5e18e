"""What a run says on the terminal: progress while it goes on, a table when it has ended."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, TextIO

from cosim.clock import NS_PER_S
from cosim.results.display import Display, Mode
from cosim.results.ground import LINK_KINDS
from cosim.results.qualifiers import cell, headline

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_WIDTH = 100
LARGEST_PARTS = 4


class Progress:
    """Shows how far a run is."""

    def __init__(self, mode: Mode, duration_ns: int, stream: TextIO | None = None) -> None:
        self._display = Display(mode, stream)
        self._duration_ns = duration_ns

    def update(self, now_ns: int, issued: int, ended: int, by_tier: dict[str, tuple[int, int]]) -> None:
        """Report virtual time and requests; `by_tier` holds (issued, ended) of each tier. For every event."""
        wall_s = self._display.due_s()
        if wall_s is None:
            return
        share = min(now_ns / self._duration_ns, 1.0) if self._duration_ns > 0 else 1.0
        text = f"{now_ns / NS_PER_S:8.1f} s of {self._duration_ns / NS_PER_S:.0f} s virtual ({share:4.0%}), "
        text += f"{wall_s:.0f} s wall, {ended}/{issued} requests ended"
        self._display.show(share, text, ", ".join(f"{name} {done}/{sent}" for name, (sent, done) in by_tier.items()))

    def close(self) -> None:
        """Take the display away; a second call does nothing."""
        self._display.close()


def print_summary(summary: dict[str, Any], console: Console | None = None) -> None:
    """Print a summary: verdict with reasons, hit rates, latencies, largest parts; to stderr unless told otherwise.

    On a terminal tables of rich's; elsewhere plain lines of at most PLAIN_WIDTH columns.
    """
    from rich.console import Console

    if console is None:
        console = Console(stderr=True)
    if console.is_terminal:
        _print_rich(summary, console)
    else:
        for line in plain_lines(summary):
            console.print(line, markup=False, highlight=False, soft_wrap=True)


def plain_lines(summary: dict[str, Any]) -> list[str]:
    """A summary as lines of text."""
    lines = [_head(summary)]
    for reason in summary["reasons"]:
        lines += wrapped(f"- {reason}", first="  ", others="    ")
    for text in summary["qualifiers"]:
        lines += wrapped(text, first="  ", others="    ")
    for text in (_basis(summary), steadiness(summary), path_words(summary)):
        lines += wrapped(text)
    for title, header, rows in (
        ("SLA, by e2el from the scheduled time", SLA_HEADER, sla_cells(summary)),
        ("Latency of ok requests, ms", LATENCY_HEADER, latency_cells(summary)),
    ):
        lines += ["", title, *columns(header, rows)]
    lines += ["", "Largest parts of the mean e2el"]
    width = max((len(name) for name in summary["tiers"]), default=0)
    for name, tier in summary["tiers"].items():
        text = f"{name:<{width}}  {largest_parts(tier)}"
        lines += wrapped(text, first="  ", others=" " * (width + 4))
    return lines


def wrapped(text: str, *, width: int = PLAIN_WIDTH, first: str = "", others: str = "") -> list[str]:
    """Text as lines of at most `width` columns, but for words that are longer: a path is not broken."""
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=others, break_long_words=False, break_on_hyphens=False
    )


SLA_HEADER = ("tier", "class", "deadline", "hit rate", "95 % Wilson", "n", "cancelled")
LATENCY_HEADER = (
    *("tier", "n", "ok", "ttft p50", "ttft p95", "tpot p50", "e2el p50", "e2el p95"),
    *("sharing", "scale", "steps"),
)
LEFT = ("tier", "class", "sharing", "steps", "parts", "figure", "verdict")


def sla_cells(summary: dict[str, Any]) -> list[tuple[str, ...]]:
    """Rows of the SLA table as text, under SLA_HEADER."""
    return [
        (
            row["tier"] or "(none)",
            row["class"],
            f"{row['deadline_ms']:g} ms",
            percent(row["sla_hit_rate"]),
            "-" if row["wilson_low"] is None else f"{100 * row['wilson_low']:.1f}-{100 * row['wilson_high']:.1f} %",
            str(row["n"]),
            str(row["cancelled"]),
        )
        for row in summary["sla"]
    ]


def latency_cells(summary: dict[str, Any]) -> list[tuple[str, ...]]:
    """Rows of the latency table as text, under LATENCY_HEADER."""
    keys = ("median_ttft_ms", "p95_ttft_ms", "median_tpot_ms", "median_e2el_ms", "p95_e2el_ms")
    return [
        (
            name,
            str(tier["n"]),
            str(tier["completed"]),
            *(number(tier[key]) for key in keys),
            tier["sharing"] or "-",
            "-" if tier["time_scale"] is None else f"{tier['time_scale']:g}",
            cell(tier),
        )
        for name, tier in summary["tiers"].items()
    ]


def largest_parts(tier: dict[str, Any]) -> str:
    """The largest parts of a tier's mean e2el as text, with their shares."""
    total_ms = sum(tier["parts_ms"].values())
    if not total_ms:
        return "-"
    ranked = sorted(tier["parts_ms"].items(), key=lambda item: -item[1])[:LARGEST_PARTS]
    return ", ".join(f"{name} {number(ms)} ms ({ms / total_ms:.0%})" for name, ms in ranked if ms > 0)


def steadiness(summary: dict[str, Any]) -> str:
    """How steady the executed steps were, from the least to the most of the engines; empty if nothing was executed."""
    hygiene = [engine["hygiene"] for engine in summary["engines"].values() if engine["hygiene"]]
    if not hygiene:
        return ""

    def range_of(key: str, form: str) -> str:
        known = [values[key] for values in hygiene if values[key] is not None]
        if not known:
            return "unknown"
        ends = sorted({f"{100 * min(known):{form}}", f"{100 * max(known):{form}}"}, key=float)
        return " to ".join(ends) + " %"

    return (
        f"executed steps: equal ones differ by {range_of('equal_step_noise', '.1f')} (robust sd), drift "
        f"{range_of('step_drift', '+.0f')} over the run, {range_of('cpu_wait_share', '.1f')} of their time was spent "
        "waiting for a CPU"
    )


def path_words(summary: dict[str, Any]) -> str:
    """Which links rest on a preset or a trace, and what of them is an assumption; empty if none does."""
    texts = []
    for name, link in summary["paths"].items():
        kinds = {kind: [row["key"] for row in link["figures"] if row["kind"] == kind] for kind in LINK_KINDS}
        if link["preset"] or kinds["trace"]:
            rests = "; ".join(f"{kind}: {', '.join(keys)}" for kind, keys in kinds.items() if keys)
            texts.append(f"{name} {link['preset'] or 'trace'} ({rests})")
    return f"presets and traces: {', '.join(texts)}" if texts else ""


def verdict_words(summary: dict[str, Any]) -> str:
    """The verdict, and what its steps are if they were not all executed."""
    return ", ".join(filter(None, (summary["verdict"], headline(summary["tiers"]))))


def percent(share: float | None) -> str:
    """A share as text; `-` where it is undefined."""
    return "-" if share is None else f"{100 * share:.1f} %"


def number(value: float | None) -> str:
    """A number with three or more digits that matter; `-` where it is undefined."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _head(summary: dict[str, Any]) -> str:
    return f"{verdict_words(summary)}  {summary['name']}"


def _basis(summary: dict[str, Any]) -> str:
    requests = summary["requests"]
    shares = [f"{source} {share:.0%}" for source, share in summary["step_coverage"].items() if share]
    ended = ", ".join(
        f"{requests[status]} {status}"
        for status in ("ok", "error", "timeout", "cancelled", "rejected", "unfinished")
        if requests[status]
    )
    return (
        f"{summary['clock']} clock, seed {summary['seed']}, {_s(summary['virtual_s'])} virtual in "
        f"{_s(summary['wall_s'])} wall; steps: {', '.join(shares) or 'none'}; "
        f"requests: {requests['issued']} issued, {ended or 'none ended'} ({requests['warmup']} warm-up)"
    )


def _s(value: float | None) -> str:
    return "?" if value is None else f"{value:.1f} s"


def columns(header: tuple[str, ...], rows: list[tuple[str, ...]], width: int = PLAIN_WIDTH) -> list[str]:
    """Left-aligned text columns, right-aligned numbers; names are cut where the lines would exceed a width."""
    table = [header, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(header))]
    widths[0] = max(min(widths[0], width - sum(widths[1:]) - 2 * len(widths)), 4)
    return [
        "  "
        + "  ".join(
            f"{cell[:wide]:<{wide}}" if name in LEFT else f"{cell:>{wide}}"
            for name, cell, wide in zip(header, row, widths, strict=True)
        ).rstrip()
        for row in table
    ]


def _print_rich(summary: dict[str, Any], console: Console) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    colour = "green" if summary["verdict"] == "VALID" else "red"
    console.print(Text(verdict_words(summary), style=f"bold {colour}") + Text(f"  {summary['name']}", style="bold"))
    for reason in summary["reasons"]:
        console.print(Text(f"  - {reason}"))
    for text in summary["qualifiers"]:
        console.print(Text(f"  {text}"))
    for text in filter(None, (_basis(summary), steadiness(summary), path_words(summary))):
        console.print(Text(text, style="dim"))
    for title, header, rows in (
        ("SLA, by e2el from the scheduled time", SLA_HEADER, sla_cells(summary)),
        ("Latency of ok requests, ms", LATENCY_HEADER, latency_cells(summary)),
        (
            "Largest parts of the mean e2el",
            ("tier", "parts"),
            [(name, largest_parts(tier)) for name, tier in summary["tiers"].items()],
        ),
    ):
        table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
        for name in header:
            table.add_column(name, justify="left" if name in LEFT else "right", no_wrap=name != "parts")
        for row in rows:
            # Text, since a tier's name may look like rich's markup.
            table.add_row(*(Text(cell) for cell in row))
        console.print(table)
