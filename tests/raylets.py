"""Two Ray nodes of one CPU each on this machine: `python -m tests.raylets FOLDER`.

It prints {"address": ..., "raylets": [pid, pid]}, that of the first node first, and ends with its standard input.
Sockets and logs are in FOLDER, whose path must be short; everything listens on the loopback interface alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

OBJECT_STORE_BYTES = 100 * 2**20
# A node that is gone is noticed after a second or two, not half a minute.
HEALTH_CHECK = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 3,
}


class Raylets(NamedTuple):
    """The cluster: what a driver needs to join it, and the process of each node, that of the driver's first."""

    address: str
    raylets: list[int]
    environment: dict[str, str]


@contextlib.contextmanager
def two_raylets(folder: Path) -> Iterator[Raylets]:
    """A cluster for the time of the block."""
    environment = {
        **os.environ,
        "RAY_TMPDIR": str(folder),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    }
    words = [sys.executable, "-m", "tests.raylets", str(folder)]
    log = folder / "raylets.log"
    with (
        open(log, "w") as errors,
        subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
        ) as process,
    ):
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, log.read_text()
        yield Raylets(**json.loads(line), environment=environment)


def main(folder: str) -> None:
    """Start both nodes, wait, stop them."""
    from ray.cluster_utils import Cluster

    (Path(folder) / "ray").mkdir()
    cluster = Cluster()
    common = {"num_cpus": 1, "object_store_memory": OBJECT_STORE_BYTES, "node_ip_address": "127.0.0.1"}
    first = {"include_dashboard": False, "no_monitor": True, "include_log_monitor": False}
    nodes = [
        cluster.add_node(**common, **first, _system_config=HEALTH_CHECK),
        cluster.add_node(**common),
    ]
    raylets = [node.all_processes["raylet"][0].process.pid for node in nodes]
    print(json.dumps({"address": cluster.address, "raylets": raylets}), flush=True)
    sys.stdin.read()
    cluster.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
