"""Hardware files: those shipped are whole and sourced, a user's own is checked line by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.roofline_check import rows
from cosim.profile.accelerator import accelerator
from cosim.profile.errors import ProfileError
from cosim.profile.hardware_file import SHIPPED, assumptions, constants, find_hardware, names, read_hardware
from cosim.profile.quantization import FORMATS

DEVICES = sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def shipped(device: str) -> Path:
    return SHIPPED / f"{device}.yaml"


def own(folder: Path, text: str) -> Path:
    path = folder / "gpu.yaml"
    path.write_text(text)
    return path


def test_hardware_that_papers_name_is_shipped() -> None:
    assert {
        "a100-40gb",
        "a100-80gb",
        "gh200-96gb",
        "gh200-144gb",
        "h100-sxm-80gb",
        "h200-141gb",
        "jetson-agx-orin-64gb",
        "jetson-orin-nx-16gb",
        "l4",
        "l40s",
    } <= set(DEVICES)
    assert {"gh200-96gb/3g.48gb", "h100-sxm-80gb/1g.10gb", "a100-80gb/3g.40gb", "h200-141gb/2g.35gb"} <= set(names())
    assert not any(name.startswith(("l4/", "l40s/", "jetson-agx-orin-64gb/")) for name in names())


@pytest.mark.parametrize("device", DEVICES)
def test_every_constant_has_a_source(device: str) -> None:
    found = constants(read_hardware(shipped(device)))
    assert len(found) >= 18
    calibrated = {row.id for row in rows() if row.use == "calibration"}
    for name, constant in found.items():
        source = constant["source"]
        if source.startswith("calibrated: "):
            named = source.removeprefix("calibrated: ").replace(", less ", ",").split(",")
            assert set(named) <= calibrated, name
    assert set(assumptions(found)) < set(found)


@pytest.mark.parametrize("device", DEVICES)
def test_slices_are_parts_of_their_device(device: str) -> None:
    hardware = read_hardware(shipped(device))
    profiles = hardware.slices.profiles if hardware.slices else {}
    for name, part in profiles.items():
        assert part.sms <= hardware.sms
        assert part.memory_gib <= hardware.memory.total_gib.value + 0.25
        # An eighth of the memory for each slice, less what the driver keeps.
        whole = hardware.memory.total_gib.value * part.memory_slices / 8
        assert 0.9 * whole < part.memory_gib < 1.01 * whole, name
        gigabytes = int(name.partition(".")[2].removesuffix("gb"))
        assert 0.85 * gigabytes < part.memory_gib < gigabytes, name


def test_a_slice_has_its_share_of_compute_and_of_bandwidth() -> None:
    hardware = read_hardware(shipped("gh200-96gb"))
    whole, part = accelerator(hardware, "gh200", None), accelerator(hardware, "gh200", "3g.48gb")
    assert part.fp16_rate == pytest.approx(whole.fp16_rate * 60 / 132)
    assert part.bandwidth == pytest.approx(whole.bandwidth / 2)
    assert part.total_bytes == 46.5 * 2**30
    assert (whole.name, part.name) == ("gh200", "gh200/3g.48gb")
    assert part.mig
    assert not whole.mig


def test_a_type_that_tensor_cores_lack_is_made_fp16_in_the_kernel() -> None:
    a100 = accelerator(read_hardware(shipped("a100-80gb")), "a100", None)
    h100 = accelerator(read_hardware(shipped("h100-sxm-80gb")), "h100", None)
    assert a100.matmul_rate(FORMATS["fp8"]) == a100.matmul_rate(FORMATS["awq"]) < a100.fp16_matmul_rate
    assert a100.matmul_rate(FORMATS["w8a8"]) == 2 * a100.fp16_matmul_rate
    assert h100.matmul_rate(FORMATS["fp8"]) == pytest.approx(2 * h100.fp16_matmul_rate, rel=1e-3)
    assert a100.weight_bandwidth(FORMATS["fp8"]) < a100.weight_bandwidth(FORMATS["w8a8"]) == a100.attained_bandwidth


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("gh200", "gh200-96gb, "),
        ("h100-sxm", "h100-sxm-80gb, "),
        ("A100-80GB", "a100-80gb, "),
        ("orin-nx", "jetson-orin"),
    ],
)
def test_unknown_hardware_is_refused_with_the_nearest_names_first(name: str, first: str) -> None:
    with pytest.raises(ProfileError) as caught:
        find_hardware(name)
    assert caught.value.what == f"no hardware {name!r}"
    if name == "gh200":
        assert "gh200-96gb" in caught.value.allowed.split(", ")[0:2][0] + caught.value.allowed.split(", ")[1]
    else:
        assert caught.value.allowed.startswith(f"known: {first}")
    assert all(device in caught.value.allowed for device in DEVICES)


def test_an_unknown_slice_is_refused_with_those_of_its_device() -> None:
    with pytest.raises(
        ProfileError, match=r"no hardware 'gh200-96gb/3g.40gb'; slices of gh200-96gb: 1g.12gb, .*3g.48gb"
    ):
        find_hardware("gh200-96gb/3g.40gb")
    with pytest.raises(ProfileError, match="slices of l4: none"):
        find_hardware("l4/1g")


def test_an_own_file_takes_what_it_does_not_give_from_a_shipped_one(tmp_path: Path) -> None:
    path = own(
        tmp_path,
        """
name: Our card
like: a100-80gb
sms: 64
memory:
  total_gib: {value: 24, source: its data sheet}
  taken_gib: {value: 0, source: its data sheet}
  bandwidth_gb_per_s: {value: 900, source: its data sheet}
slices:
  source: its manual
  profiles:
    half: {sms: 32, memory_gib: 12, memory_slices: 4}
""",
    )
    hardware, file, profile = find_hardware(f"{path}/half")
    assert (hardware.name, file, profile) == ("Our card", path, "half")
    assert hardware.memory.bandwidth_gb_per_s.value == 900
    assert hardware.compute.fp16_tflops.value == 312
    assert hardware.overheads == read_hardware(shipped("h100-sxm-80gb")).overheads
    assert hardware.slices is not None
    assert list(hardware.slices.profiles) == ["half"]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("name: x\nlike: a10\nsms: 1\n", 2, ["like", "a10", "a100-40gb"]),
        ("name: x\nlike: l4\nsms: 0\n", 3, ["sms"]),
        ("name: x\nlike: l4\nsms: 1\nsmss: 2\n", 4, ["smss", "unknown key"]),
        ("name: x\nlike: l4\nsms: 1\nvllm:\n  cuda_graph_gib: 1\n", 5, ["vllm.cuda_graph_gib"]),
        ("name: x\nlike: l4\nsms: 1\nvllm:\n  cuda_graph_gib: {value: 1}\n", 5, ["source", "missing"]),
        (
            "name: x\nlike: l4\nsms: 1\nvllm:\n  cuda_graph_gib: {value: 1.0e+300, source: a manual}\n",
            5,
            ["vllm.cuda_graph_gib.value", "1000000"],
        ),
        (
            "name: x\nlike: l4\nsms: 1\nslices:\n  source: a manual\n  profiles:\n"
            "    half: {sms: 2, memory_gib: 1.0, memory_slices: 1}\n",
            7,
            ["slices.profiles.half.sms", "2 are more than the whole GPU has", "at most 1"],
        ),
        ("name: x\nsms: 1\n", 1, ["attainable", "missing"]),
        ("name: [\n", 2, ["is not YAML"]),
        (
            "name: x\nlike: l4\nsms: 1\nslices:\n  source: a manual\n  profiles:\n    half: {sms: 1}\n",
            7,
            ["memory_gib"],
        ),
    ],
)
def test_bad_input_is_refused_at_its_line(tmp_path: Path, text: str, line: int, words: list[str]) -> None:
    path = own(tmp_path, text)
    with pytest.raises(ProfileError) as caught:
        find_hardware(str(path))
    places = [fault.place for fault in caught.value.faults]
    assert f"{path}:{line}" in places
    assert all(word in str(caught.value) for word in words)


def test_an_own_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="there is none"):
        find_hardware(str(tmp_path / "gpu.yaml"))
