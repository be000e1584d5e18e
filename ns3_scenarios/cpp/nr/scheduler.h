// SPDX-License-Identifier: GPL-2.0-only
//
// Who gets which part of one slot in one direction.
#pragma once

#include "config.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace cosim::nr
{

/// What a UE wants in the slot. A retransmission takes the RBs x symbols of its first transmission, before new data.
/// A UE with data of several priorities has a demand for each, with the same MCS; they come in one allocation.
struct Demand
{
    int32_t ue{0};
    int32_t priority{9};     // lower first
    int64_t n_bytes{0};      // MAC PDU bytes that it could use
    int32_t mcs{0};
    bool retransmission{false};
    int32_t rbs{0};          // of a retransmission
    int32_t symbols{0};
    int32_t harq_process{0}; // comes back
};

struct Allocation
{
    int32_t ue{0};
    int32_t harq_process{0};
    bool retransmission{false};
    int32_t mcs{0};
    int32_t first_rb{0};
    int32_t rbs{0};
    int32_t first_symbol{0};
    int32_t symbols{0};
    int64_t tb_bytes{0}; // of a new transmission
};

/// The part of a slot that can be given away.
struct Resources
{
    int32_t rbs{0};
    int32_t first_symbol{0};
    int32_t symbols{0};
    bool from_end{false}; // TDMA: the last symbols first (uplink)
};

/// PF: metric = instantaneous rate / average rate, the average over `pf_window_slots` (Jalali, Padovani, Pankaj:
/// VTC 2000). RR: who was served longest ago. Ties by UE number. One instance per direction.
class Scheduler
{
  public:
    using TbSize = std::function<int64_t(int32_t mcs, int32_t rbs, int32_t symbols)>; // bytes

    Scheduler(const SchedulerConfig& config, int32_t ues, TbSize tb_size);

    void Set(const SchedulerConfig& config);

    /// No two allocations overlap, none exceeds the resources, at most one new one per UE (OFDMA: one in all, since a
    /// UE has one PDSCH or PUSCH at a time). `slot` never goes back. `allocations` is overwritten.
    void Allocate(int64_t slot, const Resources& resources, const std::vector<Demand>& demands, std::vector<Allocation>& allocations);

    /// Bytes of a TB, remembered; rbs and symbols within the carrier's and 14.
    int64_t TbBytes(int32_t mcs, int32_t rbs, int32_t symbols);
};

} // namespace cosim::nr
