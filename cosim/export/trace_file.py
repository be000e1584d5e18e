"""Perfetto's native trace format: tracks, slices that nest, instants, counters; written as they come.

A trace is a sequence of TracePackets (protos/perfetto/trace/perfetto_trace.proto of Perfetto). Texts that come again
are interned: they are written once and named by a number from then on. The same calls give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, BinaryIO

from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import (
    BuiltinClock,
    CounterDescriptor,
    Trace,
    TracePacket,
    TrackEvent,
)

# Perfetto's usual clock of a trace. Virtual time stands in it: ns since the run's epoch, which no real clock knows.
CLOCK = BuiltinClock.BUILTIN_CLOCK_BOOTTIME
SEQUENCE = 1
# Packets that are put together before they are written.
PACKETS = 4_000

Value = int | float | str | bool | None


class TraceFile:
    """Writes a trace; `close` writes what is left. Tracks and processes have numbers from 1."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._trace = Trace()
        self._tracks = 0
        self._processes = 0
        self._interned: dict[str, dict[str, int]] = {}
        first = self._packet()
        first.sequence_flags = TracePacket.SEQ_INCREMENTAL_STATE_CLEARED
        first.trace_packet_defaults.timestamp_clock_id = CLOCK

    def process(self, name: str) -> int:
        """A new process, which groups tracks."""
        self._processes += 1
        descriptor = self._descriptor()
        descriptor.process.pid = self._processes
        descriptor.process.process_name = name
        return self._tracks

    def track(self, process: int, name: str) -> int:
        """A new track of slices; Perfetto draws tracks of one process with one name together."""
        descriptor = self._descriptor()
        descriptor.parent_uuid = process
        descriptor.name = name
        return self._tracks

    def counter(self, process: int, name: str, *, in_bytes: bool) -> int:
        """A new track of values over time."""
        descriptor = self._descriptor()
        descriptor.parent_uuid = process
        descriptor.name = name
        unit = CounterDescriptor.UNIT_SIZE_BYTES if in_bytes else CounterDescriptor.UNIT_UNSPECIFIED
        descriptor.counter.unit = unit
        return self._tracks

    def begin(
        self,
        track: int,
        t_ns: int,
        category: str,
        name: str,
        *,
        unique: bool = False,
        arguments: Mapping[str, Value] | None = None,
        flows: Iterable[int] = (),
    ) -> None:
        """Begin a slice. Slices of a track nest: the one that began last ends first.

        `unique`: few other slices have its name, so that it is not interned. `flows`: in each of them an arrow leads
        here from the slice before.
        """
        packet = self._event(TrackEvent.TYPE_SLICE_BEGIN, track, t_ns)
        self._say(packet, category, name, unique=unique)
        packet.track_event.flow_ids.extend(flows)
        for key, value in (arguments or {}).items():
            if value is not None:
                self._argue(packet, key, value)

    def end(self, track: int, t_ns: int) -> None:
        """End the slice that began last on a track."""
        self._event(TrackEvent.TYPE_SLICE_END, track, t_ns)

    def instant(self, track: int, t_ns: int, category: str, name: str) -> None:
        """Mark a moment."""
        self._say(self._event(TrackEvent.TYPE_INSTANT, track, t_ns), category, name, unique=False)

    def count(self, track: int, t_ns: int, value: float) -> None:
        """The value of a counter from now on."""
        self._event(TrackEvent.TYPE_COUNTER, track, t_ns).track_event.double_counter_value = value

    def close(self) -> None:
        """Write out what is left; the file itself stays open."""
        self._file.write(self._trace.SerializeToString())
        self._trace = Trace()  # Clear would keep the memory.

    def _packet(self) -> Any:
        if len(self._trace.packet) >= PACKETS:
            self.close()
        packet = self._trace.packet.add()
        packet.trusted_packet_sequence_id = SEQUENCE
        return packet

    def _descriptor(self) -> Any:
        self._tracks += 1
        descriptor = self._packet().track_descriptor
        descriptor.uuid = self._tracks
        return descriptor

    def _event(self, kind: int, track: int, t_ns: int) -> Any:
        packet = self._packet()
        packet.sequence_flags = TracePacket.SEQ_NEEDS_INCREMENTAL_STATE
        packet.timestamp = t_ns
        packet.track_event.type = kind
        packet.track_event.track_uuid = track
        return packet

    def _say(self, packet: Any, category: str, name: str, *, unique: bool) -> None:
        event = packet.track_event
        event.category_iids.append(self._number(packet, "event_categories", category))
        if unique:
            event.name = name
        else:
            event.name_iid = self._number(packet, "event_names", name)

    def _argue(self, packet: Any, key: str, value: int | float | str | bool) -> None:
        annotation = packet.track_event.debug_annotations.add()
        annotation.name_iid = self._number(packet, "debug_annotation_names", key)
        if isinstance(value, bool):
            annotation.bool_value = value
        elif isinstance(value, int):
            annotation.int_value = value
        elif isinstance(value, float):
            annotation.double_value = value
        else:
            annotation.string_value_iid = self._number(packet, "debug_annotation_string_values", value)

    def _number(self, packet: Any, table: str, text: str) -> int:
        """The number of a text in a table of InternedData; a new text goes with this packet."""
        numbers = self._interned.setdefault(table, {})
        number = numbers.get(text)
        if number is None:
            number = numbers[text] = len(numbers) + 1
            entry = getattr(packet.interned_data, table).add()
            entry.iid = number
            if table == "debug_annotation_string_values":
                entry.str = text.encode()
            else:
                entry.name = text
        return number


class Lanes:
    """Tracks with one name for slices that may overlap: each goes where no other is at that time.

    Of the free lanes the one that was left last is taken: for slices in order of their ends that needs no more lanes
    than slices overlap at a time.
    """

    def __init__(self, new_track: Callable[[], int]) -> None:
        self._new_track = new_track
        self._free_ns: dict[int, int] = {}

    def take(self, start_ns: int, end_ns: int) -> int:
        """The track for a slice; slices come in any order, those of one track are then in order of time."""
        free = [(free_ns, -track) for track, free_ns in self._free_ns.items() if free_ns <= start_ns]
        track = -max(free)[1] if free else self._new_track()
        self._free_ns[track] = end_ns
        return track
