# SPDX-License-Identifier: GPL-2.0-only
"""From messages to the C++ structs of the ns-3 process."""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import Any

import msgspec

from cosim.bridge.messages import Topology
from cosim.bridge.nr_messages import NrAccess


class Native:
    """Makes C++ structs; `cosim` is their namespace."""

    def __init__(self, cosim: Any) -> None:
        self._cosim = cosim

    def fill(self, native: Any, value: msgspec.Struct) -> Any:
        """Give a new C++ struct the values of the fields of the same names, and return it.

        None leaves the C++ default.
        """
        for name in value.__struct_fields__:
            item = getattr(value, name)
            if isinstance(item, msgspec.Struct):
                self.fill(getattr(native, name), item)
            elif isinstance(item, tuple):
                self._fill_list(getattr(native, name), item)
            elif item is not None:
                setattr(native, name, item)
        return native

    def _fill_list(self, native: Any, items: tuple[Any, ...]) -> None:
        if items and isinstance(items[0], int):
            self._cosim.Assign(native, array("l", items), len(items))
            return
        for item in items:
            self.fill(self._cosim.Append(native), item)

    def topology(self, topology: Topology) -> Any:
        """A `Topology`; makes the directory for pcap files."""
        native = self._cosim.Topology()
        for ue in topology.ues:
            native.ues.push_back(ue)
        if isinstance(topology.access, NrAccess):
            native.has_cell = True
            self.fill(native.cell, topology.access.cell)
            for flow in topology.access.flows:
                self.fill(self._cosim.Append(native.flows), flow)
        else:
            self.fill(native.access, topology.access)
        self.fill(native.core, topology.core)
        for name, link in topology.paths.items():
            path = self._cosim.Path()
            path.name = name
            self.fill(path.wan, link)
            native.paths.push_back(path)
        native.mtu_bytes = topology.mtu_bytes
        native.congestion_control = topology.transport.congestion_control
        native.slow_start_after_idle = topology.transport.slow_start_after_idle
        native.tls = topology.transport.tls
        native.seed = topology.seed % 2**64
        if topology.pcap_directory is not None:
            Path(topology.pcap_directory).mkdir(parents=True, exist_ok=True)
            native.pcap_directory = topology.pcap_directory
        return native
