"""The architecture: who may import whom, who reads the clock, how long a module may be."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "cosim").rglob("*.py"))
SOURCES = [
    file
    for folder in ("cosim", "ns3_scenarios", "tests", "benchmarks", "scripts", "docs")
    for file in sorted((ROOT / folder).rglob("*"))
    if file.suffix in {".py", ".h", ".cc", ".sh", ".j2", ".css", ".js"} or (folder == "scripts" and file.is_file())
]
GPL_SOURCES = [
    file for file in SOURCES if ROOT / "ns3_scenarios" in file.parents and file.suffix in {".py", ".h", ".cc"}
]
MAX_LINES = 400

SIDES = ("network", "inference", "clients", "placement")
# results reads files; of the engines it knows the words in which those are written.
RESULTS_MAY = ("cosim.inference.base", "cosim.bridge.messages", "cosim.bridge.engine_messages")
CLOCKS = {"time", "monotonic", "perf_counter", "clock_gettime", "sleep", "localtime", "gmtime", "ctime"}
CLOCKS |= {"time_ns", "monotonic_ns", "perf_counter_ns", "clock_gettime_ns"}


def name_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@functools.cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(), str(file))


def imports(file: Path, tree: ast.Module | None = None) -> set[str]:
    """Every module named by an import statement, wherever in the file it stands; `from a import b` names a and a.b."""
    found = set()
    for node in ast.walk(tree or tree_of(file)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = name_of(file).split(".") + (["-"] if file.name == "__init__.py" else [])
            base = ".".join(package[: -node.level] if node.level else [])
            module = ".".join(part for part in (base, node.module) if part)
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


def inside(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def part_of(file: Path) -> str:
    return file.relative_to(ROOT / "cosim").parts[0].removesuffix(".py")


def forbidden(file: Path, tree: ast.Module | None = None) -> set[str]:
    """What a module imports and may not."""
    part, named = part_of(file), imports(file, tree)
    bad = {module for module in named if inside(module, "ns3_scenarios")}
    if file.name != "__main__.py":
        bad |= {module for module in named if inside(module, "cosim.cli")}
    if part == "scenario":
        bad |= {module for module in named if inside(module, "cosim") and not inside(module, "cosim.scenario")}
        bad -= {"cosim"}
    if part in ("results", "export"):
        others = [f"cosim.{other}" for other in (*SIDES, "bridge")]
        bad |= {module for module in named if inside(module, *others) and not inside(module, *RESULTS_MAY)}
        bad -= {"cosim.inference", "cosim.bridge"}  # from cosim.inference import base
    if part in SIDES:
        bad |= {module for module in named if inside(module, *(f"cosim.{side}" for side in SIDES if side != part))}
    return bad


def read_clocks(tree: ast.Module) -> set[str]:
    """What a module reads of the wall clock or of sleep."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            found |= {f"time.{alias.name}" for alias in node.names if alias.name in CLOCKS}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            if (owner == "time" and node.attr in CLOCKS) or (
                owner in {"datetime", "date"} and node.attr in {"now", "utcnow", "today"}
            ):
                found.add(f"{owner}.{node.attr}")
    return found


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_imports_only_what_the_house_allows(file: Path) -> None:
    assert forbidden(file) == set()


@pytest.mark.parametrize("file", [file for file in MODULES if name_of(file) != "cosim.clock"], ids=name_of)
def test_only_the_clock_reads_the_wall_clock(file: Path) -> None:
    assert read_clocks(tree_of(file)) == set()


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_one_concept_of_at_most_400_lines(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("file", [file for file in MODULES if file.name != "__init__.py"], ids=name_of)
def test_a_module_says_what_it_is(file: Path) -> None:
    assert ast.get_docstring(tree_of(file))


@pytest.mark.parametrize("file", GPL_SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_sources_of_the_ns3_process_carry_their_licence(file: Path) -> None:
    first = file.read_text().splitlines()[:3]
    assert not first or any("SPDX-License-Identifier: GPL-2.0-only" in line for line in first)


def test_the_rules_see_every_way_to_import() -> None:
    program = "import a.b\nfrom c import d\ndef f():\n    from ..inference import base\n    from . import fixed\n"
    found = imports(ROOT / "cosim/placement/rule.py", ast.parse(program))
    assert found >= {"a.b", "c", "c.d", "cosim.inference", "cosim.inference.base", "cosim.placement.fixed"}
    assert imports(ROOT / "cosim/placement/__init__.py", ast.parse("from . import fixed")) >= {"cosim.placement.fixed"}


def test_the_rules_see_every_way_to_read_the_clock() -> None:
    program = "import time, datetime\nfrom time import monotonic\ntime.sleep(1)\ndatetime.datetime.now()\n"
    assert read_clocks(ast.parse(program)) == {"time.monotonic", "time.sleep", "datetime.now"}


@pytest.mark.parametrize(
    ("module", "program"),
    [
        ("scenario/models.py", "from cosim.clock import Clock"),
        ("scenario/models.py", "from cosim import clock"),
        ("results/store.py", "from cosim.inference.host import Host"),
        ("results/store.py", "from cosim.bridge import child"),
        ("export/perfetto.py", "from cosim.network import pipe"),
        ("network/pipe.py", "import cosim.clients.frames"),
        ("placement/fixed.py", "def choose():\n    from ..network import base"),
        ("conductor.py", "from cosim.cli import main"),
        ("conductor.py", "import ns3_scenarios.process"),
    ],
)
def test_a_forbidden_import_is_seen(module: str, program: str) -> None:
    assert forbidden(ROOT / "cosim" / module, ast.parse(program))


@pytest.mark.parametrize(
    ("module", "program"),
    [
        ("scenario/load.py", "import cosim.scenario.models\nfrom cosim.scenario import units"),
        ("results/records.py", "from cosim.inference import base\nfrom cosim.bridge.messages import Signature"),
        ("network/ns3.py", "from cosim.bridge.child import Child\nfrom cosim.network.base import Network"),
        ("__main__.py", "from cosim.cli import main"),
    ],
)
def test_an_allowed_import_is_let_through(module: str, program: str) -> None:
    assert forbidden(ROOT / "cosim" / module, ast.parse(program)) == set()
