"""`cosim engine-host` whose engines are doubles: `python -m tests.remote.daemon_double --listen ADDRESS --keys DIR`."""

from __future__ import annotations

import sys

from cosim import engine_host
from cosim.cli import main
from cosim.inference import daemon, vllm

if __name__ == "__main__":
    vllm.ENGINE_MODULE = "tests.remote.engine_double"
    for module, name in ((engine_host, "vllm_hardware"), (daemon, "vllm_hardware")):
        setattr(module, name, lambda: "cpu")
    sys.argv = ["cosim", "engine-host", *sys.argv[1:]]
    main()
