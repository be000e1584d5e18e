// SPDX-License-Identifier: GPL-2.0-only
//
// One NR cell: UEs and a gNB that carry packets in slots. It knows sizes and times of packets, not what is in them, and
// nothing of ns-3: whoever owns it calls Run at NextNs.
#pragma once

#include "config.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace cosim::nr
{

/// A packet that left the access network; t_ns = when it came + the sum of its parts.
struct Arrival
{
    int64_t t_ns{0};
    uint64_t handle{0};
    AccessParts parts;
};

/// IP bytes of one UE and direction: sent == delivered + dropped + waiting.
struct PacketBytes
{
    int64_t sent{0};
    int64_t delivered{0};
    int64_t dropped{0};
    int64_t waiting{0};
    int64_t dropped_packets{0};
};

/// One transmission on the air, for tests: `rbs` RBs from `first_rb` on in symbols [first_symbol, first_symbol + symbols).
struct Transmission
{
    int64_t slot{0};
    int32_t ue{0};
    bool up{true};
    int32_t first_rb{0};
    int32_t rbs{0};
    int32_t first_symbol{0};
    int32_t symbols{0};
    int32_t mcs{0};
    int32_t round{1}; // 1: new; at most harq.max_transmissions
    int64_t tb_bits{0};
    bool decoded{false};
};

class Cell
{
  public:
    /// Throws std::invalid_argument on what it cannot carry.
    explicit Cell(const CellConfig& config);
    ~Cell();
    Cell(const Cell&) = delete;
    Cell& operator=(const Cell&) = delete;

    /// A packet reaches the UE's modem (`up`) or the gNB; false if the bearer's buffer is full. `handle` comes back.
    bool Enqueue(int64_t now_ns, int32_t ue, bool up, int32_t bearer, int64_t n_bytes, uint64_t handle);

    /// When there is something to do next; kNever if nothing is.
    int64_t NextNs() const;

    /// Do what is due up to and at a time, which never goes back.
    void Run(int64_t now_ns);

    /// Packets that have left since the last call, in order of time. In order per UE, direction and bearer.
    std::vector<Arrival> TakeArrivals();

    /// Handles of packets that were given up since the last call.
    std::vector<uint64_t> TakeDropped();

    /// Live knobs, from now on.
    void SetRadio(int64_t now_ns, int32_t ue, const RadioConfig& radio);

    /// Nothing gets through between the UE and the cell before `until_ns` (outage, handover); packets wait.
    void Interrupt(int64_t now_ns, int32_t ue, int64_t until_ns);

    void SetGrants(int64_t now_ns, const UplinkGrantConfig& grants);
    void SetScheduler(int64_t now_ns, const SchedulerConfig& scheduler);
    void SetLink(int64_t now_ns, const LinkAdaptationConfig& link);
    void SetTraffic(int64_t now_ns, int32_t ue, bool up, bool present, const TrafficConfig& traffic);

    /// KPIs of the windows that have ended since the last call; with `cut` the one under way ends now.
    std::vector<RadioSample> TakeSamples(int64_t now_ns, bool cut);

    PacketBytes Account(int32_t ue, bool up) const;

    /// Keep every transmission for TakeTransmissions from now on.
    void RecordTransmissions();
    std::vector<Transmission> TakeTransmissions();

  private:
    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

} // namespace cosim::nr
