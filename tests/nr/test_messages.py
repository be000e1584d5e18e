"""Messages of the cell and their C++ namesakes: the same fields and defaults, and every value gets across."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cosim.bridge import nr_messages
from cosim.bridge.messages import Direction, Link
from cosim.bridge.nr_messages import ACCESS_PARTS, Flow, NrAccess, NrCell, RadioConfig, TracePoint, TrafficConfig
from cosim.network.radio_use import FIELDS
from tests.nr.rig import Cpp, CppError

# What is in a C++ struct, as JSON would have it.
PLAIN = """
def plain(native):
    if isinstance(native, (bool, int, float)):
        return native
    if hasattr(native, "push_back"):
        return str(native) if type(native).__name__ == "string" else [plain(element) for element in native]
    members = vars(type(native)).items()
    names = [name for name, member in members if type(member).__name__ == "CPPDataMember"]
    return {name: plain(getattr(native, name)) for name in names}
"""

FILL = (
    PLAIN
    + """
import msgspec
from cosim.bridge import messages, nr_messages
from ns3_scenarios.native import Native

kind = getattr(nr_messages, values["kind"], None) or getattr(messages, values["kind"])
value = msgspec.convert(values["value"], kind)
result = plain(Native(cosim).fill(eval(values["native"])(), value))
"""
)

CONFIGS = [
    kind
    for kind in vars(nr_messages).values()
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__module__ == nr_messages.__name__
]
MIRRORS = [kind for kind in CONFIGS if kind.__name__.endswith(("Config", "Shape", "Point", "Cell"))]


def native_name(kind: type) -> str:
    return {"NrCell": "CellConfig"}.get(kind.__name__, kind.__name__)


def altered(value: Any, kind: Any) -> Any:
    """Something else of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 3
    if isinstance(value, float):
        return value + 0.625
    if isinstance(value, str):
        return f"{value}name"
    if isinstance(value, tuple):
        element = kind.__args__[0]()
        return (altered(element, None), element)
    fields = msgspec.structs.fields(value)
    return type(value)(**{field.name: altered(getattr(value, field.name), field.type) for field in fields})


def builtins(value: Any) -> Any:
    """Without the tags, which are the wire's."""
    if isinstance(value, msgspec.Struct):
        return {name: builtins(getattr(value, name)) for name in value.__struct_fields__}
    return [builtins(element) for element in value] if isinstance(value, tuple) else value


@pytest.mark.parametrize("kind", MIRRORS, ids=lambda kind: kind.__name__)
def test_a_config_has_the_fields_and_defaults_of_its_namesake(cpp: Cpp, kind: type) -> None:
    assert cpp.run(f"{PLAIN}\nresult = plain(nr.{native_name(kind)}())") == builtins(kind())


def test_every_value_of_a_cell_gets_across(cpp: Cpp) -> None:
    cell = altered(NrCell(), None)
    assert all(getattr(cell, name) != getattr(NrCell(), name) for name in cell.__struct_fields__)
    sent = msgspec.to_builtins(cell)
    assert cpp.run(FILL, kind="NrCell", native="nr.CellConfig", value=sent) == builtins(cell)


def test_what_is_none_leaves_the_default(cpp: Cpp) -> None:
    link = Link(Direction(3, loss=0.5), Direction(4, rate_bps=7, jitter_ns=2, queue_bytes=9))
    filled = cpp.run(FILL, kind="Link", native="cosim.Link", value=msgspec.to_builtins(link))
    plain = ("delay_ns", "rate_bps", "jitter_ns", "jitter_shape", "loss", "queue_bytes")
    assert {direction: [values[field] for field in plain] for direction, values in filled.items()} == {
        "uplink": [3, 0, 0, 1.0, 0.5, -1],
        "downlink": [4, 7, 2, 1.0, 0.0, 9],
    }
    flow = msgspec.to_builtins(Flow("stream"))
    assert cpp.run(FILL, kind="Flow", native="cosim.Flow", value=flow) == {
        "bearer": "stream",
        "path": "",
        "max_bytes": -1,
    }


def test_what_cpp_cannot_hold_is_refused(cpp: Cpp) -> None:
    with pytest.raises(CppError, match="integer"):
        cpp.run(
            FILL, kind="TrafficConfig", native="nr.TrafficConfig", value=msgspec.to_builtins(TrafficConfig(1 << 40))
        )


def test_what_comes_back_has_the_fields_that_are_read(cpp: Cpp) -> None:
    parts = cpp.run(f"{PLAIN}\nresult = list(plain(nr.AccessParts()))")
    assert parts == [f"{part}_ns" for part in ACCESS_PARTS]
    sample = cpp.run(f"{PLAIN}\nresult = list(plain(nr.RadioSample()))")
    assert sorted(sample) == sorted((*FIELDS, "t_ns", "ue", "up"))


def test_messages_get_across_as_they_were() -> None:
    access = NrAccess(altered(NrCell(), None), (Flow("a", "cloud"), Flow("b", None, 100)))
    for value in (access, RadioConfig(kind=1, trace=(TracePoint(1, -3.5, 2.0),))):
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(value), type=type(value)) == value
