"""Requests that a server or a policy refuses: their parts, their bytes, and what happens to the rest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cosim.inference.base import EngineRefusal, Prompt, RenderResult
from cosim.inference.stub import StubEngine
from cosim.wire import error_bytes
from tests.lockstep import MS, scenario, simulate, stub

REFUSAL = "This model's maximum context length is 64 tokens."


@pytest.fixture
def second_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The front end takes 3 ms to refuse the second request."""
    render = StubEngine.render

    def refuse(self: StubEngine, prompt: Prompt) -> RenderResult:
        if prompt.request_id.endswith("1"):
            raise EngineRefusal(REFUSAL, 3 * MS, "predicted")
        return render(self, prompt)

    monkeypatch.setattr(StubEngine, "render", refuse)


@pytest.mark.parametrize("path", ["edge", None])
@pytest.mark.usefixtures("second_is_refused")
def test_a_refused_request_has_the_parts_that_it_got_to(path: str | None) -> None:
    recorded = simulate(scenario(tiers={"edge": {"path": path, "engine": stub()}}))
    refused = next(record for record in recorded.requests if record.request_id.endswith("1"))
    assert (refused.status, refused.error) == ("error", REFUSAL)
    assert sum(refused.parts.values()) == refused.e2el_ns
    assert refused.parts["frontend"] == 3 * MS
    assert {refused.parts[part] for part in ("queue", "prefill", "decode", "egress")} == {0}
    assert refused.parts["down_access"] == (4 * MS if path else 0)
    assert refused.bytes_down == error_bytes(REFUSAL, tls=False)
    assert refused.bytes_up > 0
    assert (refused.output_tokens, refused.chunk_times_ns, refused.ttft_ns) == (0, [], None)
    assert [record.status for record in recorded.requests if record is not refused] == ["ok", "ok"]
    assert recorded.invariants.broken == []


@pytest.mark.usefixtures("second_is_refused")
def test_a_refused_requests_connection_is_used_again() -> None:
    recorded = simulate(scenario())
    assert [record.connection for record in recorded.requests] == ["new", "reused", "reused"]
    assert recorded.account is not None
    assert all(entry.sent == entry.delivered for entry in recorded.account.connections)


POLICIES = """
class Elsewhere:
    def choose(self, request, view):
        return "nowhere" if request.request_id.endswith("1") else "edge"
"""


def installed(folder: Path, name: str) -> Path:
    """A package that brings a policy."""
    (folder / "policies.py").write_text(POLICIES)
    about = folder / "policies-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: policies\nVersion: 1\n")
    (about / "entry_points.txt").write_text(f"[cosim.placement]\nelsewhere = policies:{name}\n")
    return folder


def run_with_policy(folder: Path, name: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    site = os.pathsep.join(filter(None, [str(installed(folder, name)), os.environ.get("PYTHONPATH")]))
    file = folder / "scenario.yaml"
    file.write_text(yaml.safe_dump(scenario(placement={"kind": "elsewhere"})))
    done = subprocess.run(
        [sys.executable, "-m", "cosim", "run", str(file), "-o", str(folder / "out")],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": site},
    )
    return done, json.loads((folder / "out" / "failure.json").read_bytes())


def test_a_policy_that_chooses_no_tier_of_the_scenario_ends_the_run(tmp_path: Path) -> None:
    done, failure = run_with_policy(tmp_path, "Elsewhere")
    assert done.returncode == 3
    assert "chose 'nowhere', which is no tier; mend the policy" in done.stderr
    assert "Traceback" not in done.stderr
    assert (failure["status"], failure["error"]) == ("failed", "PlacementError")
    assert len((tmp_path / "out" / "requests.jsonl").read_text().splitlines()) == 1
