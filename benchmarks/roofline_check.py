"""The roofline against public measurements, row by row; benchmarks/roofline_reference.yaml has sources and quotes.

    error = predicted / measured - 1, of a time, a token rate or a number of KV-cache tokens

Rows marked `calibration` set constants of cosim/profile/hardware; the summary is of the held-out rows alone. A row is a
steady state or one request, which a few steps of the roofline describe without a scheduler:

    decode       one step of `sequences` decodes with `context` tokens each
    batch        `sequences` prompts in one step, then output - 1 decodes
    ttft         front end, the prompt in chunks of max_num_batched_tokens, the first chunk's egress
    stream       output / (ttft + (output - 1) decodes), tokens/s
    image        one step with an image of `image` tokens in a prompt of `prompt`
    image_ttft   the same with its front end and the first chunk's egress
    closed_loop  mean step of `clients` that start staggered: clients / output prompts join each step
    kv_cache     tokens that the KV cache holds
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))  # to run as a file

from benchmarks.command import Outcome, carry_out
from cosim.bridge.engine_messages import ConfigModel, EngineSpec, Signature
from cosim.profile.models import read_config
from cosim.profile.roofline import Roofline, load_roofline

REFERENCE = Path(__file__).parent / "roofline_reference.yaml"


@dataclass(frozen=True, slots=True)
class Row:
    """One public measurement; `unit` ms, tokens/s or tokens. `derivation`: how it follows from the quote."""

    id: str
    hardware: str
    model: str
    source: str
    unit: str
    measured: float
    workload: dict[str, Any]
    quantization: str = "fp16"
    args: dict[str, Any] = field(default_factory=dict)
    use: str = "check"
    derivation: str | None = None


def rows() -> list[Row]:
    """The reference file's rows; each names one of its sources."""
    data = yaml.safe_load(REFERENCE.read_text())
    found = [Row(**row) for row in data["rows"]]
    assert {row.source for row in found} == set(data["sources"]), "every row has a source, and every source a row"
    return found


def roofline(row: Row) -> Roofline:
    """The roofline of a row's engine."""
    name, text = read_config(row.model)
    spec = EngineSpec(row.id, ConfigModel(name, text), row.model, row.args, tls=False)
    return load_roofline(row.hardware, spec, row.quantization)


def predicted(row: Row) -> float:
    """What the roofline says of a row, in the row's unit."""
    workload = dict(row.workload)
    return _PREDICTIONS[workload.pop("kind")](roofline(row), **workload)


def decode_ms(profile: Roofline, sequences: int, context: float) -> float:
    """One step of decodes."""
    return _ms(profile, _decodes(sequences, context))


def batch_ms(profile: Roofline, sequences: int, prompt: int, output: int) -> float:
    """A batch from its first prompt to its last token, without a server."""
    first = _ms(profile, _prompts(sequences, prompt))
    return first + (output - 1) * decode_ms(profile, sequences, prompt + output / 2)


def ttft_ms(profile: Roofline, prompt: int) -> float:
    """Time to first token of one request alone."""
    front = profile.frontend(prompt_tokens=prompt, encoder_tokens=0, images=0, draw=0.5).duration_ns
    steps = sum(_ms(profile, chunk) for chunk in _chunks(prompt, profile.executor.defaults["max_num_batched_tokens"]))
    return (front + profile.egress("first", 0.5).duration_ns) / 1e6 + steps


def image_ms(profile: Roofline, prompt: int, image: int) -> float:
    """The step of a prompt with one image."""
    return _ms(profile, msgspec.structs.replace(_prompts(1, prompt), encoder_tokens=image, images=1))


def image_ttft_ms(profile: Roofline, prompt: int, image: int) -> float:
    """Time to first token of a prompt with one image, which fits into a step."""
    front = profile.frontend(prompt_tokens=prompt, encoder_tokens=image, images=1, draw=0.5).duration_ns
    return (front + profile.egress("first", 0.5).duration_ns) / 1e6 + image_ms(profile, prompt, image)


def stream_tokens_per_s(profile: Roofline, prompt: int, output: int) -> float:
    """Tokens of one request over its time."""
    decodes_ms = (output - 1) * decode_ms(profile, 1, prompt + output / 2)
    return output / (ttft_ms(profile, prompt) + decodes_ms) * 1e3


def closed_loop_ms(profile: Roofline, clients: int, prompt: int, output: int) -> float:
    """Mean step, which is the TPOT of clients that are evenly spread over their answers."""
    alone = _decodes(clients, prompt + output / 2)
    joining = clients / output
    whole = max(1, round(joining))
    mixed = _ms(profile, _joined(alone, _prompts(whole, prompt)))
    return mixed if joining >= 1 else joining * mixed + (1 - joining) * _ms(profile, alone)


def kv_cache_tokens(profile: Roofline) -> float:
    """Whole blocks of the KV cache, in tokens."""
    described = profile.describe()
    return float(described["kv_blocks"] * described["arguments"]["block_size"])


_PREDICTIONS: dict[str, Callable[..., float]] = {
    "decode": decode_ms,
    "batch": batch_ms,
    "ttft": ttft_ms,
    "stream": stream_tokens_per_s,
    "image": image_ms,
    "image_ttft": image_ttft_ms,
    "closed_loop": closed_loop_ms,
    "kv_cache": kv_cache_tokens,
}


def _ms(profile: Roofline, signature: Signature) -> float:
    return profile.step(signature, 0.5).duration_ns / 1e6


def _decodes(sequences: int, context: float) -> Signature:
    tokens = round(sequences * context)
    return Signature(0, sequences, tokens, 0, 0, decode_context_tokens=tokens)


def _prompts(sequences: int, tokens: int, computed: int = 0) -> Signature:
    pairs = tokens * computed + tokens * (tokens + 1) // 2
    return Signature(
        sequences * tokens,
        0,
        sequences * computed,
        0,
        0,
        prefill_sequences=sequences,
        prefill_attention=sequences * pairs,
    )


def _chunks(prompt: int, most: Any) -> Iterator[Signature]:
    for computed in range(0, prompt, int(most)):
        yield _prompts(1, min(int(most), prompt - computed), computed)


def _joined(one: Signature, other: Signature) -> Signature:
    return Signature(*(getattr(one, name) + getattr(other, name) for name in Signature.__struct_fields__))


def check() -> Outcome:
    """Predict every row; there is no target but the table."""
    table = []
    for row in rows():
        value = predicted(row)
        table.append(
            {
                "id": row.id,
                "hardware": row.hardware,
                "model": row.model,
                "quantization": row.quantization,
                "workload": row.workload,
                "unit": row.unit,
                "measured": row.measured,
                "predicted": float(f"{value:.4g}"),
                "error": round(value / row.measured - 1, 4),
                "use": row.use,
                "source": row.source,
            }
        )
    result = {"rows": table, "summary": summary(table), "sources": yaml.safe_load(REFERENCE.read_text())["sources"]}
    return Outcome(json.loads(json.dumps(result, default=str)), list(lines(table, result["summary"])))


def summary(table: list[dict[str, Any]]) -> dict[str, Any]:
    """Median and worst absolute error of the held-out rows, times and rates apart from memory."""
    found = {}
    for name, memory in (("times", False), ("kv_cache", True)):
        errors = {row["id"]: row["error"] for row in table if row["use"] == "check" and _is_memory(row) == memory}
        worst = max(errors, key=lambda row: abs(errors[row]))
        found[name] = {
            "rows": len(errors),
            "median_abs_error": round(statistics.median(map(abs, errors.values())), 4),
            "worst": {worst: errors[worst]},
        }
    return found


def _is_memory(row: dict[str, Any]) -> bool:
    return bool(row["workload"]["kind"] == "kv_cache")


def lines(table: list[dict[str, Any]], found: dict[str, Any]) -> Iterator[str]:
    """The table as Markdown, then the summary."""
    yield "| row | quantization | workload | measured | predicted | error | use |"
    yield "|---|---|---|---:|---:|---:|---|"
    for row in table:
        workload = " ".join(str(value) for value in row["workload"].values())
        numbers = f"{row['measured']:g} {row['unit']} | {row['predicted']:g} | {row['error']:+.1%}"
        yield f"| {row['id']} | {row['quantization']} | {workload} | {numbers} | {row['use']} |"
    for name, part in found.items():
        (worst,) = part["worst"].items()
        yield (
            f"held-out {name}: {part['rows']} rows, median absolute error {part['median_abs_error']:.1%}, "
            f"worst {worst[1]:+.1%} ({worst[0]})"
        )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    return carry_out(parser, parser.parse_args(), check)


if __name__ == "__main__":
    sys.exit(main())
