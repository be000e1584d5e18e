"""Which engine a profile is recorded of: a tier's of a scenario, or one made from arguments."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from cosim.bridge.engine_messages import ConfigModel, EngineSpec, HubModel, SyntheticModel
from cosim.engine_plan import EnginePlan, engine_plans, engine_spec
from cosim.environment import vllm_hardware
from cosim.inference.vllm_arguments import argument_errors
from cosim.profile.models import ConfigError, read_config
from cosim.profiling.prompts import ImageSettings
from cosim.profiling.quantized_config import FORMATS, quantized
from cosim.requirements import MissingExtraError
from cosim.scenario.engines import RemoteHardware, VllmEngine
from cosim.scenario.errors import Problem, ScenarioError
from cosim.scenario.load import Loaded, load

COMMAND = "cosim profile"
ENGINE = "engine"


@dataclass(frozen=True, slots=True)
class Target:
    """An engine to be started and measured.

    `model`: as a scenario names it, without a quantisation that was put into its config. `quantization`: as it was
    asked for, None if the checkpoint says it.
    """

    spec: EngineSpec
    hardware: str
    model: SyntheticModel | ConfigModel | HubModel
    quantization: str | None = None
    images: ImageSettings = field(default_factory=ImageSettings)


def tier_target(path: Path, tier: str | None, *, quantization: str | None, args: Sequence[str]) -> Target:
    """The engine of a tier of a scenario as it is written there, but executed. Raises ScenarioError."""
    loaded = load(path)
    plans: dict[str, EnginePlan] = {}
    for plan in filter(_executable, engine_plans(loaded.scenario)):
        plans.setdefault(plan.tier, plan)
    if not plans:
        raise ScenarioError([loaded.problem(("tiers",), "no engine of vLLM on this machine", "engine.kind: vllm")])
    if tier is None and len(plans) == 1:
        tier = next(iter(plans))
    if tier not in plans:
        what = "is missing: the scenario has several" if tier is None else f"no tier {tier!r} with an engine of vLLM"
        raise _refused("--tier", what, f"allowed: {', '.join(plans)}")
    for option, given in (("--quantization", quantization), ("--arg", args)):
        if given:
            raise _refused(option, "the engine of a tier is as the scenario says", f"change {path} or leave it out")
    chosen = plans[tier]
    settings = chosen.settings
    assert isinstance(settings, VllmEngine)
    executed = dataclasses.replace(chosen, settings=settings.model_copy(update={"executor": None}))
    spec = engine_spec(executed, tls=loaded.scenario.network.transport.tls)
    target = Target(spec, executed.hardware, spec.model, images=_pictures(loaded, tier))
    _check(target, f"tiers.{tier}.engine.", str(path))
    return target


def model_target(
    *, model: str | None, synthetic: str | None, hardware: str, quantization: str | None, args: Sequence[str]
) -> Target:
    """An engine of a hub model, a path or a config.json. Raises ScenarioError."""
    given = _arguments(args)
    if not re.fullmatch(r"auto|cpu|gpu(:\d+)?", hardware):
        raise _refused("--hardware", f"{hardware!r} is none", "allowed: auto, cpu, gpu, gpu:N")
    if quantization is not None and quantization not in FORMATS:
        raise _refused("--quantization", f"{quantization!r} is none", f"allowed: {', '.join(FORMATS)}")
    wanted: HubModel | ConfigModel
    plain: HubModel | ConfigModel
    if synthetic is not None:
        try:
            name, config = read_config(synthetic)
        except ConfigError as error:
            raise _refused("--synthetic", str(error), None) from error
        plain = ConfigModel(name, config)
        wanted = ConfigModel(name, config if quantization is None else quantized(config, quantization))
    else:
        assert model is not None
        name, plain, wanted = model, HubModel(model), HubModel(model)
        if quantization not in (None, "fp16", "fp8"):
            what = f"vLLM does not make {quantization} of a checkpoint"
            raise _refused("--quantization", what, "give --model a checkpoint that is quantised so, and leave it out")
        if quantization == "fp8":
            given.setdefault("quantization", "fp8")
    if quantization == "fp16":
        given.setdefault("dtype", "float16")
    build = vllm_hardware()
    target = Target(
        EngineSpec(ENGINE, wanted, name, given, tls=True),
        (build or "cpu") if hardware == "auto" else hardware,
        plain,
        quantization,
    )
    _check(target, "--", COMMAND)
    return target


def _executable(plan: EnginePlan) -> bool:
    return isinstance(plan.settings, VllmEngine) and not isinstance(plan.settings.hardware, RemoteHardware)


def _pictures(loaded: Loaded, tier: str) -> ImageSettings:
    """How the pictures of the tier's cameras are made."""
    for group in loaded.scenario.clients:
        image = getattr(group, "image", None)
        if image is not None and group.tier == tier:
            return ImageSettings(image.quality, image.detail)
    return ImageSettings()


def _arguments(texts: Sequence[str]) -> dict[str, Any]:
    """Engine arguments from `k=v`, v as in a scenario."""
    found: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise _refused("--arg", f"{text!r} is no argument", "NAME=VALUE, as in max_num_seqs=8")
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise _refused("--arg", f"{text!r}: the value is no YAML", "NAME=VALUE, as in max_num_seqs=8") from error
    return found


def _check(target: Target, prefix: str, origin: str) -> None:
    """Raise for what can be known before anything is started."""
    if find_spec("vllm") is None:
        raise MissingExtraError([f"vLLM ({COMMAND})"], ["cpu"])
    build = vllm_hardware()
    problems = []
    if build is not None and target.hardware.partition(":")[0] != build:
        what = f"{target.hardware!r}, but the {build.upper()} build of vLLM is installed"
        problems.append(Problem(origin, None, f"{prefix}hardware", what, f"allowed: auto, {build}"))
    for error in argument_errors(target.spec):
        near = f"did you mean {' or '.join(error.matches)}? " if error.matches else ""
        key = f"{prefix}args.{error.argument}" if prefix != "--" else f"--arg {error.argument}"
        what = "is not an engine argument of vLLM"
        problems.append(Problem(origin, None, key, what, f"{near}allowed: the fields of vLLM's EngineArgs"))
    if problems:
        raise ScenarioError(problems)


def _refused(option: str, what: str, allowed: str | None) -> ScenarioError:
    return ScenarioError([Problem(COMMAND, None, option, what, allowed)])
