"""Put on PYTHONPATH by the engine host's near side: brings the torchvision shim into every Python process it starts.

vLLM inspects model classes in a subprocess of its own, so a call in the host alone would not do.
"""

import importlib.util
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent


def _load(name: str, path: Path) -> object:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


# Loaded by its path: this process need not find the package cosim.
_load("cosim_torchvision_shim", _HERE.parent / "torchvision_shim.py").install()  # type: ignore[attr-defined]

# Only one module of this name is imported at start; the one that this folder hides comes next.
for _folder in sys.path:
    _other = Path(_folder) / "sitecustomize.py"
    if _folder and Path(_folder).resolve() != _HERE and _other.is_file():
        _load("cosim_next_sitecustomize", _other)
        break
