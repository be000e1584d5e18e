"""Engine hosts of their own: roles, log files and sockets of many engines never coincide."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import yaml

from cosim.assembly import log_name
from cosim.bridge.child import Runtime
from cosim.engine_plan import engine_plans, host_plans
from cosim.scenario.load import load
from tests.lockstep import chat, scenario

# sun_path of sockaddr_un has 108 bytes with its NUL (unix(7)).
LONGEST_SOCKET_PATH = 107
MODEL = {"kind": "synthetic", "architecture": "llama"}


def roles(folder: Path) -> list[str]:
    """A host for each of twelve clients' engines, and one for a tier that is named like one of them."""
    own = {"kind": "vllm", "model": MODEL, "isolate": True}
    data = scenario(
        tiers={
            "edge": {"path": "edge", "engine": own, "per_client": True},
            "edge-u-0": {"path": "edge", "engine": own},
        },
        clients=[chat("u", count=12), chat("other", tier="edge-u-0")],
    )
    file = folder / "scenario.yaml"
    file.write_text(yaml.safe_dump(data))
    return list(host_plans(engine_plans(load(file, environment={}).scenario)))


def test_isolated_engines_of_clients_have_a_host_and_a_log_each(tmp_path: Path) -> None:
    found = roles(tmp_path)
    assert found[:2] == ["engine edge/u-0", "engine edge/u-1"]
    assert len(found) == len(set(found)) == 13
    assert len({log_name(role) for role in found}) == 13
    assert all("/" not in log_name(role) for role in found)


@pytest.mark.parametrize("length", [10, 49, 50, 51, 90, 200])
def test_a_socket_path_is_never_too_long(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of sockets below a temporary folder with a long name."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="x") as folder:
        base = Path(folder) / ("y" * max(1, length - len(folder) - 1))
        base.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(base))
        runtime = Runtime()
        try:
            addresses = [runtime.new_address() for _ in range(1000)]
        finally:
            runtime.close()
        assert len(set(addresses)) == 1000
        assert max(len(address.removeprefix("ipc://")) for address in addresses) <= LONGEST_SOCKET_PATH
        assert list(base.iterdir()) == []
