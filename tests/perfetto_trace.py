"""A Perfetto trace read back with the classes of the perfetto package, and what must be so in any trace."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import BuiltinClock, Trace, TracePacket, TrackEvent

INTERNED = ("event_names", "event_categories", "debug_annotation_names", "debug_annotation_string_values")


@dataclass
class Track:
    process: str
    name: str
    unit: int | None = None
    latest_ns: int = -1
    open: list[Slice] = field(default_factory=list)


@dataclass
class Slice:
    track: Track
    category: str
    name: str
    start_ns: int
    arguments: dict[str, Any]
    flows: list[int]
    end_ns: int = -1
    within: list[Slice] = field(default_factory=list)

    @property
    def place(self) -> tuple[str, str]:
        return self.track.process, self.track.name


@dataclass
class ReadTrace:
    """All that a trace holds: slices in the order in which they begin in the file, counters by process and name."""

    slices: list[Slice] = field(default_factory=list)
    instants: list[tuple[Track, str, str, int]] = field(default_factory=list)
    counters: dict[tuple[str, str], list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))

    def of(self, category: str) -> list[Slice]:
        return [found for found in self.slices if found.category == category]

    def flow(self, number: int) -> list[Slice]:
        """The slices that a flow passes, as Perfetto orders them: by time, at one instant as in the file."""
        return sorted((found for found in self.slices if number in found.flows), key=lambda found: found.start_ns)


def read_trace(file: Path) -> ReadTrace:
    """Read a trace; fails where one track's events are out of order or do not nest, or a number stands for nothing."""
    packets = Trace.FromString(file.read_bytes()).packet
    first = packets[0]
    assert first.sequence_flags == TracePacket.SEQ_INCREMENTAL_STATE_CLEARED
    assert first.trace_packet_defaults.timestamp_clock_id == BuiltinClock.BUILTIN_CLOCK_BOOTTIME
    assert len({packet.trusted_packet_sequence_id for packet in packets}) == 1
    found, processes, tracks = ReadTrace(), dict[int, str](), dict[int, Track]()
    interned: dict[str, dict[int, str]] = {table: {} for table in INTERNED}
    for packet in packets[1:]:
        for table in INTERNED:
            for entry in getattr(packet.interned_data, table):
                text = entry.str.decode() if table == "debug_annotation_string_values" else entry.name
                assert text not in interned[table].values()
                interned[table][entry.iid] = text
        if packet.HasField("track_descriptor"):
            descriptor = packet.track_descriptor
            assert descriptor.uuid not in processes.keys() | tracks.keys()
            if descriptor.HasField("process"):
                assert descriptor.process.process_name not in processes.values()
                processes[descriptor.uuid] = descriptor.process.process_name
            else:
                assert descriptor.name
                unit = descriptor.counter.unit if descriptor.HasField("counter") else None
                tracks[descriptor.uuid] = Track(processes[descriptor.parent_uuid], descriptor.name, unit)
        elif packet.HasField("track_event"):
            assert packet.sequence_flags == TracePacket.SEQ_NEEDS_INCREMENTAL_STATE
            _read_event(found, tracks[packet.track_event.track_uuid], packet, interned)
    assert not [track for track in tracks.values() if track.open]
    return found


def _read_event(found: ReadTrace, track: Track, packet: Any, interned: dict[str, dict[int, str]]) -> None:
    event, t_ns = packet.track_event, packet.timestamp
    assert packet.HasField("timestamp")
    assert t_ns >= track.latest_ns, f"{track.name}: {t_ns} after {track.latest_ns}"
    track.latest_ns = t_ns
    if event.type == TrackEvent.TYPE_COUNTER:
        assert track.unit is not None
        found.counters[track.process, track.name].append((t_ns, event.double_counter_value))
        return
    assert track.unit is None
    if event.type == TrackEvent.TYPE_SLICE_END:
        track.open.pop().end_ns = t_ns
        return
    (category,) = (interned["event_categories"][number] for number in event.category_iids)
    name = interned["event_names"][event.name_iid] if event.name_iid else event.name
    if event.type == TrackEvent.TYPE_INSTANT:
        found.instants.append((track, category, name, t_ns))
        return
    assert event.type == TrackEvent.TYPE_SLICE_BEGIN
    arguments = {
        interned["debug_annotation_names"][annotation.name_iid]: _value(annotation, interned)
        for annotation in event.debug_annotations
    }
    new = Slice(track, category, name, t_ns, arguments, list(event.flow_ids))
    if track.open:
        track.open[-1].within.append(new)
    track.open.append(new)
    found.slices.append(new)


def _value(annotation: Any, interned: dict[str, dict[int, str]]) -> Any:
    kind = annotation.WhichOneof("value")
    value = getattr(annotation, kind)
    return interned["debug_annotation_string_values"][value] if kind == "string_value_iid" else value
