"""Files of hardware: what a GPU has, what of it a program attains, and where each number comes from."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cosim.profile.errors import ProfileError
from cosim.scenario.errors import Problem, ScenarioError
from cosim.scenario.explain import explain
from cosim.scenario.section import problem
from cosim.scenario.source import Source, read

SHIPPED = Path(__file__).parent / "hardware"
ASSUMPTION = "assumption: "
# Of a constant, in the unit of its name: beyond them a step lasts no time or for ever.
LEAST, LARGEST = 1e-3, 1e6
_MOST_PARENTS = 4
_OWN_FILE = re.compile(r"(?P<file>.*\.ya?ml)(?:/(?P<slice>.+))?$")


class Part(BaseModel):
    """A mapping of a hardware file: unknown keys are errors, as in a scenario."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Constant(Part):
    """A number and its source; a source that begins with `assumption: ` says that nobody measured it."""

    value: float = Field(ge=0, le=LARGEST)
    source: str = Field(min_length=8)


class Share(Constant):
    """A share of a peak."""

    value: float = Field(ge=LEAST, le=1)


class Amount(Constant):
    """A number that is divided by."""

    value: float = Field(ge=LEAST, le=LARGEST)


class Compute(Part):
    """Peak dense rates of the tensor cores, without sparsity; None where there are none of that type."""

    fp16_tflops: Amount
    fp8_tflops: Amount | None = None
    int8_tops: Amount | None = None


class Memory(Part):
    """`total_gib`: what CUDA reports. `taken_gib`: of it, before vLLM starts, by the driver or the operating system."""

    total_gib: Amount
    taken_gib: Constant
    bandwidth_gb_per_s: Amount


class Attainable(Part):
    """Shares of the peaks that kernels reach.

    `weight_only_*`: those that dequantise weights to fp16. `vision_flops`: of the whole vision tower, which runs
    eagerly.
    """

    matmul_flops: Share
    weight_only_flops: Share
    attention_flops: Share
    vision_flops: Share
    bandwidth: Share
    weight_only_bandwidth: Share
    attention_bandwidth: Share


class Overheads(Part):
    """Time that no FLOP and no byte explains.

    `kernel_us`: from one kernel to the next in a CUDA graph. `launch_us`: of the CPU, for each kernel outside of a
    graph. `step_us`: of the GPU in each step: input preparation, sampling, copies. `host_us`,
    `host_sequence_us`: scheduling and input preparation of the CPU, which asynchronous scheduling hides.
    """

    kernel_us: Constant
    launch_us: Constant
    step_us: Constant
    host_us: Constant
    host_sequence_us: Constant


class Vllm(Part):
    """What vLLM takes of the memory beside weights and activations."""

    cuda_graph_gib: Constant
    non_torch_gib: Constant


class Host(Part):
    """The CPU beside the GPU: `frontend_*` of one request, `egress_us` of one chunk."""

    frontend_us: Constant
    frontend_token_us: Constant
    frontend_image_token_us: Constant
    egress_us: Constant
    egress_first_us: Constant


class Slice(Part):
    """A MIG slice. `sms` and `memory_gib` as `nvidia-smi mig -lgip` lists them; `memory_slices`: of eight."""

    sms: int = Field(ge=1)
    memory_gib: float = Field(ge=LEAST, le=LARGEST)
    memory_slices: int = Field(ge=1, le=8)


class Slices(Part):
    """MIG slices by the name of their profile."""

    source: str = Field(min_length=8)
    profiles: dict[str, Slice] = Field(min_length=1)


class HardwareFile(Part):
    """A GPU. `like`: a shipped one from which every section that is not given here is taken."""

    name: str = Field(min_length=1)
    like: str | None = None
    sms: int = Field(ge=1)
    a100: bool = Field(False, description="vLLM names the A100 among GPUs with small default batches.")
    compute: Compute
    memory: Memory
    attainable: Attainable
    overheads: Overheads
    vllm: Vllm
    host: Host
    slices: Slices | None = None

    @model_validator(mode="after")
    def _slices_are_parts(self) -> HardwareFile:
        for name, part in self.slices.profiles.items() if self.slices else ():
            if part.sms > self.sms:
                what = f"{part.sms} are more than the whole GPU has"
                raise problem(("slices", "profiles", name, "sms"), what, f"at most {self.sms}")
        return self


def names() -> list[str]:
    """Shipped hardware, each followed by its slices: `gh200-96gb`, `gh200-96gb/1g.12gb`."""
    found = []
    for path in sorted(SHIPPED.glob("*.yaml")):
        slices = read_hardware(path).slices
        found += [path.stem, *(f"{path.stem}/{profile}" for profile in (slices.profiles if slices else ()))]
    return found


def find_hardware(name: str) -> tuple[HardwareFile, Path, str | None]:
    """The file of a name or path, and of it the slice that is meant. Raises ProfileError for unknown names."""
    path, profile = _split(name)
    hardware = read_hardware(path) if path.is_file() else None
    known = hardware is not None and (profile is None or (hardware.slices and profile in hardware.slices.profiles))
    if hardware is None or not known:
        raise ProfileError(f"no hardware {name!r}", _allowed(name, hardware, path))
    return hardware, path, profile


def _split(name: str) -> tuple[Path, str | None]:
    """`a100-40gb/3g.20gb` and `my/gpu.yaml/half`: a file and a slice."""
    own = _OWN_FILE.match(name)
    if own is not None:
        return Path(own["file"]), own["slice"]
    device, _, profile = name.partition("/")
    return SHIPPED / f"{device}.yaml", profile or None


def _allowed(name: str, hardware: HardwareFile | None, path: Path) -> str:
    if hardware is not None:
        profiles = ", ".join(hardware.slices.profiles) if hardware.slices else "none"
        return f"slices of {path.stem}: {profiles}"
    if _OWN_FILE.match(name):
        return f"the path of a hardware file; there is none at {path}"
    devices = sorted(file.stem for file in SHIPPED.glob("*.yaml"))
    nearest = difflib.get_close_matches(name.lower(), devices, n=3, cutoff=0.3)
    known = [*nearest, *(device for device in devices if device not in nearest)]
    return f"known: {', '.join(known)}, and MIG slices such as gh200-96gb/3g.48gb; or the path of a *.yaml of your own"


@cache
def read_hardware(path: Path) -> HardwareFile:
    """Read and check a hardware file. Raises ProfileError with the line of each fault."""
    try:
        source = read(path, {})
        for _ in range(_MOST_PARENTS):
            parent = source.data.get("like")
            if not isinstance(parent, str) or not _take(source, parent):
                break
        return HardwareFile.model_validate(source.data)
    except ScenarioError as error:
        problems: Sequence[Problem] = error.problems
    except ValidationError as error:
        problems = explain(error, source, HardwareFile)
    raise _refused(problems)


def _take(source: Source, parent: str) -> bool:
    """Fill in the sections of a shipped file; whether it was taken from another one in turn."""
    path = SHIPPED / f"{parent}.yaml"
    if parent not in {file.stem for file in SHIPPED.glob("*.yaml")}:
        origin, line = source.place(("like",))
        shipped = ", ".join(sorted(file.stem for file in SHIPPED.glob("*.yaml")))
        raise ScenarioError([Problem(origin, line, "like", f"no shipped hardware {parent!r}", f"allowed: {shipped}")])
    base = read(path, {})
    for keys, place in base.places.items():
        if keys[0] not in source.data:
            source.places[keys] = place
    source.data = {**{key: value for key, value in base.data.items() if key != "slices"}, **source.data}
    source.data["like"] = base.data.get("like", parent)
    return "like" in base.data


def _refused(problems: Sequence[Problem]) -> ProfileError:
    first, *others = [_fault(problem) for problem in problems]
    return ProfileError(first.what, first.allowed, first.place, others)


def _fault(problem: Problem) -> ProfileError:
    place = problem.origin if problem.line is None else f"{problem.origin}:{problem.line}"
    key = f"{problem.key}: " if problem.key else ""
    return ProfileError(f"{key}{problem.what}", problem.allowed or "a hardware file", place)


def constants(section: Part, prefix: str = "") -> dict[str, dict[str, Any]]:
    """Every constant of a hardware file by its dotted name."""
    found: dict[str, dict[str, Any]] = {}
    for key, value in section:
        if isinstance(value, Constant):
            found[f"{prefix}{key}"] = value.model_dump()
        elif isinstance(value, Part) and not isinstance(value, Slices):
            found |= constants(value, f"{prefix}{key}.")
    return found


def assumptions(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names of the constants that rest on an assumption."""
    return [key for key, constant in found.items() if str(constant["source"]).startswith(ASSUMPTION)]
