"""Values of a link in words, for a plan, a manifest and the list of presets."""

from __future__ import annotations

from typing import Any

from cosim.clock import NS_PER_MS, NS_PER_S
from cosim.scenario.link_values import FqCodel, GammaJitter, GilbertElliott, MahimahiRate, RttTrace
from cosim.scenario.links import LinkDirection

OPPORTUNITY_BYTES = 1504


def link_words(values: LinkDirection) -> str:
    """A direction in a line."""
    rate = "unlimited" if values.rate is None else value_words("rate", values.rate)
    words = [f"{rate}, {value_words('delay', values.delay)}"]
    words += [f"{key} {value_words(key, value)}" for key in ("jitter", "loss") if (value := getattr(values, key))]
    if values.discipline != "fifo":
        words.append(value_words("discipline", values.discipline))
    return ", ".join(words)


def value_words(key: str, value: Any) -> str:
    """A value that a key of a link has, without `_up` and `_down`."""
    if isinstance(value, RttTrace):
        return _trace(key, value)
    if isinstance(value, GammaJitter):
        held = f", held {value.hold / NS_PER_MS:g} ms" if value.hold else ""
        return f"{value.mean / NS_PER_MS:g} ms (gamma, shape {value.shape:g}{held})"
    if isinstance(value, GilbertElliott):
        return f"{value.mean_loss:.3%} in bursts of mean {1 / value.bad_to_good:.3g} packets"
    if isinstance(value, MahimahiRate):
        return _mahimahi(value)
    if isinstance(value, FqCodel):
        return f"fq-codel, target {value.target / NS_PER_MS:g} ms"
    if value is None:
        return "none"
    words = {
        "rate": lambda: f"{value / 1e6:g} Mbit/s",
        "delay": lambda: f"{value / NS_PER_MS:g} ms",
        "jitter": lambda: f"{value / NS_PER_MS:g} ms",
        "loss": lambda: f"{value:.3%}",
        "queue": lambda: f"{value} B",
    }
    return words[key]() if key in words else str(value)


def _trace(key: str, trace: RttTrace) -> str:
    assert trace.samples is not None
    rtts_ms = sorted(rtt_ns / NS_PER_MS for _, rtt_ns in trace.samples)
    text = f"{'half' if key == 'delay' else 'half of what exceeds the least'} of RTTs of {_of(trace)}: "
    text += f"{rtts_ms[0]:g} to {rtts_ms[-1]:g} ms, {len(rtts_ms)} samples in {trace.period_ns / NS_PER_S:g} s"
    return text + (f", {trace.lost} without an answer left out" if trace.lost else "")


def _mahimahi(rate: MahimahiRate) -> str:
    assert rate.opportunities is not None
    length_ms = rate.opportunities[-1]
    mean_mbps = len(rate.opportunities) * OPPORTUNITY_BYTES * 8 / length_ms / 1000
    return f"delivery trace of {_of(rate)}: mean {mean_mbps:.3g} Mbit/s over {length_ms / 1000:g} s"


def _of(imported: RttTrace | MahimahiRate) -> str:
    return imported.read_from or "the scenario"
