"""Lets torchvision be imported beside a torch that its operators were not built for.

PyPI's torchvision is built for CUDA; beside a CPU torch its library of operators does not load and its import fails,
because its Python layer refers to two of them. The two are declared here, without an implementation: image transforms
need none. vLLM's Qwen-VL models import torchvision but call only transforms.
"""

from __future__ import annotations

import importlib.abc
import sys
from typing import Any

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
# A torch.library.Library withdraws its declarations when it is collected.
_declared: list[Any] = []


def install() -> None:
    """Have the declarations made when torchvision is first imported; nothing is imported now."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name != "torchvision":
            return
        sys.meta_path.remove(self)
        if not _operators_load():
            _declare()


def _operators_load() -> bool:
    """Whether torchvision's own library loads; loading it here is what its import does next."""
    import importlib.machinery
    import importlib.util
    from pathlib import Path

    import torch

    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return True
    for location in spec.submodule_search_locations:
        for suffix in importlib.machinery.EXTENSION_SUFFIXES:
            library = Path(location) / f"_C{suffix}"
            if library.exists():
                try:
                    torch.ops.load_library(str(library))
                except OSError:
                    return False
                return True
    return False


def _declare() -> None:
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in _SCHEMAS:
        library.define(schema)
    _declared.append(library)
