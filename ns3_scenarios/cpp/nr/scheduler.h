// SPDX-License-Identifier: GPL-2.0-only
//
// Who gets which part of one slot in one direction.
#pragma once

#include "config.h"

#include <algorithm>
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

/// Symbol after symbol (TDMA) or RBG after RBG (OFDMA) goes to one UE of those with the most urgent uncovered demand.
/// PF: to the UE with the greatest instantaneous rate / average rate, the average over the last `pf_window_slots` slots in
/// which the UE had new data, with what it gains in this one (Jalali, Padovani, Pankaj: VTC 2000). RR: to the UE that was
/// given one longest ago. Ties by UE number. One instance per direction.
class Scheduler
{
  public:
    using TbSize = std::function<int64_t(int32_t mcs, int32_t rbs, int32_t symbols)>; // bytes

    Scheduler(const SchedulerConfig& config, int32_t ues, TbSize tb_size);

    void Set(const SchedulerConfig& config);

    /// No two allocations overlap, none exceeds the resources, each UE has at most one: a retransmission, else new data.
    /// One call per slot. `allocations` is overwritten.
    void Allocate(const Resources& resources, const std::vector<Demand>& demands, std::vector<Allocation>& allocations);

    /// Bytes of a TB, remembered; mcs, rbs and symbols from 0 to 31, 275 and 14.
    int64_t TbBytes(int32_t mcs, int32_t rbs, int32_t symbols)
    {
        int32_t& size = m_sizes[(rbs * 32 + mcs) * 16 + symbols];
        return size >= 0 ? size : size = static_cast<int32_t>(m_tb_size(mcs, rbs, symbols));
    }

  private:
    static constexpr double kLeastAverage = 1e-9; // bytes per slot, of a UE that was never served

    struct Ue
    {
        double average_bytes{0}; // per slot with new data
        int64_t turn{0};         // when it was last served
        // Of the slot under way:
        bool retransmits{false};
        int32_t mcs{0};
        int32_t harq_process{0};
        int64_t demand_bytes{0};
        int64_t gained_bytes{0};
        int32_t units{0}; // symbols (TDMA) or RBs (OFDMA)
        double rate_bytes{0};
    };

    /// A UE whose demand is not covered. The least comes first.
    struct Contender
    {
        double rank;
        int32_t ue;

        bool operator<(const Contender& other) const
        {
            return rank != other.rank ? rank < other.rank : ue < other.ue;
        }
    };

    void Begin(const Resources& resources, const std::vector<Demand>& demands);
    void Retransmit(const std::vector<Demand>& demands, std::vector<Allocation>& allocations);
    void Share(const std::vector<Demand>& demands);
    void ShareLevel();
    void Place(std::vector<Allocation>& allocations);
    Allocation Part(int32_t rbs, int32_t symbols);
    int32_t Step(const Ue& ue);

    int64_t Bytes(const Ue& ue, int32_t units)
    {
        return m_config.ofdma ? TbBytes(ue.mcs, units, m_resources.symbols) : TbBytes(ue.mcs, m_resources.rbs, units);
    }

    double Rank(const Ue& ue) const
    {
        if (!m_config.proportional_fair)
        {
            return static_cast<double>(ue.turn);
        }
        const double average = ue.average_bytes + static_cast<double>(ue.gained_bytes) * m_average_share;
        return -ue.rate_bytes / std::max(average, kLeastAverage);
    }

    SchedulerConfig m_config;
    TbSize m_tb_size;
    std::vector<int32_t> m_sizes;
    std::vector<Ue> m_ues;
    double m_average_share{0}; // of one slot in the averages
    int64_t m_turn{0};
    // Of the slot under way:
    Resources m_resources;
    int32_t m_used{0}; // units that are given away: symbols or RBs
    int32_t m_left{0};
    std::vector<const Demand*> m_new;
    std::vector<Contender> m_contenders;
    std::vector<int32_t> m_served; // UEs in the order in which they gained
};

} // namespace cosim::nr
