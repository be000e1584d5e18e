// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>

namespace cosim::nr
{

namespace
{

constexpr int32_t kMaxRbs = 275;       // 38.211 4.4.2
// Headers and a BSR take 11 to 20 bytes of a TB: many UEs with less each would carry nothing at all.
constexpr int64_t kLeastTbBytes = 32;

} // namespace

Scheduler::Scheduler(const SchedulerConfig& config, int32_t ues, TbSize tb_size)
    : m_tb_size(std::move(tb_size)),
      m_sizes((kMaxRbs + 1) * 32 * 16, -1),
      m_ues(ues)
{
    Set(config);
}

void
Scheduler::Set(const SchedulerConfig& config)
{
    if (config.rbg_rbs < 1 || !(config.pf_window_slots >= 1))
    {
        throw std::invalid_argument("a scheduler needs rbg_rbs and pf_window_slots of at least 1");
    }
    m_config = config;
    m_average_share = 1 / config.pf_window_slots;
}

void
Scheduler::Allocate(const Resources& resources, const std::vector<Demand>& demands, std::vector<Allocation>& allocations)
{
    allocations.clear();
    if (demands.empty() || resources.rbs < 1 || resources.symbols < 1)
    {
        return;
    }
    Begin(resources, demands);
    Retransmit(demands, allocations);
    Share(demands);
    Place(allocations);
}

void
Scheduler::Begin(const Resources& resources, const std::vector<Demand>& demands)
{
    if (resources.rbs > kMaxRbs)
    {
        throw std::invalid_argument("a carrier has at most 275 RBs, not " + std::to_string(resources.rbs));
    }
    m_resources = resources;
    m_used = 0;
    m_left = m_config.ofdma ? resources.rbs : resources.symbols;
    m_served.clear();
    for (const Demand& demand : demands)
    {
        Ue& ue = m_ues[demand.ue];
        ue.retransmits = false;
        ue.demand_bytes = 0;
        ue.gained_bytes = 0;
        ue.units = 0;
    }
}

/// One that does not fit waits for a slot in which it does.
void
Scheduler::Retransmit(const std::vector<Demand>& demands, std::vector<Allocation>& allocations)
{
    for (const Demand& demand : demands)
    {
        if (!demand.retransmission || demand.rbs > m_resources.rbs || demand.symbols > m_resources.symbols ||
            (m_config.ofdma ? demand.rbs : demand.symbols) > m_left)
        {
            continue;
        }
        Ue& ue = m_ues[demand.ue];
        if (ue.retransmits)
        {
            continue;
        }
        ue.retransmits = true;
        ue.turn = ++m_turn;
        Allocation part = Part(demand.rbs, demand.symbols);
        part.ue = demand.ue;
        part.harq_process = demand.harq_process;
        part.retransmission = true;
        part.mcs = demand.mcs;
        allocations.push_back(part);
    }
}

void
Scheduler::Share(const std::vector<Demand>& demands)
{
    const auto more_urgent = [](const Demand* a, const Demand* b) {
        return std::tie(a->priority, a->ue, a) < std::tie(b->priority, b->ue, b);
    };
    m_new.clear();
    bool sorted = true;
    for (const Demand& demand : demands)
    {
        if (!demand.retransmission && demand.n_bytes > 0 && !m_ues[demand.ue].retransmits)
        {
            sorted = sorted && (m_new.empty() || more_urgent(m_new.back(), &demand));
            m_new.push_back(&demand);
        }
    }
    if (!sorted)
    {
        std::sort(m_new.begin(), m_new.end(), more_urgent);
    }
    for (size_t i = 0; i < m_new.size();)
    {
        m_contenders.clear();
        for (const int32_t priority = m_new[i]->priority; i < m_new.size() && m_new[i]->priority == priority; ++i)
        {
            const Demand& demand = *m_new[i];
            Ue& ue = m_ues[demand.ue];
            if (ue.demand_bytes == 0)
            {
                ue.average_bytes *= 1 - m_average_share;
                ue.mcs = demand.mcs;
                ue.harq_process = demand.harq_process;
                ue.rate_bytes = static_cast<double>(TbBytes(demand.mcs, m_resources.rbs, m_resources.symbols));
            }
            ue.demand_bytes += demand.n_bytes;
            const bool another = !m_contenders.empty() && m_contenders.back().ue == demand.ue; // of this priority
            if (!another && ue.gained_bytes < ue.demand_bytes)
            {
                m_contenders.push_back(Contender{Rank(ue), demand.ue});
            }
        }
        ShareLevel();
    }
}

/// Until all who contend are covered or nothing is left.
void
Scheduler::ShareLevel()
{
    std::sort(m_contenders.begin(), m_contenders.end());
    for (size_t first = 0; m_left > 0 && first < m_contenders.size(); ++first)
    {
        Contender contender = m_contenders[first];
        Ue& ue = m_ues[contender.ue];
        const int32_t step = Step(ue);
        if (step == 0)
        {
            continue;
        }
        if (ue.units == 0)
        {
            m_served.push_back(contender.ue);
        }
        ue.units += step;
        ue.gained_bytes = Bytes(ue, ue.units);
        ue.turn = ++m_turn;
        m_left -= step;
        if (ue.gained_bytes < ue.demand_bytes)
        {
            // Back into the order, mostly near its end.
            contender.rank = Rank(ue);
            m_contenders.push_back(contender);
            for (size_t place = m_contenders.size() - 1; place > first + 1 && contender < m_contenders[place - 1]; --place)
            {
                std::swap(m_contenders[place], m_contenders[place - 1]);
            }
        }
    }
}

void
Scheduler::Place(std::vector<Allocation>& allocations)
{
    for (const int32_t number : m_served)
    {
        Ue& ue = m_ues[number];
        m_left += ue.units;
        Allocation part = m_config.ofdma ? Part(ue.units, m_resources.symbols) : Part(m_resources.rbs, ue.units);
        part.ue = number;
        part.harq_process = ue.harq_process;
        part.mcs = ue.mcs;
        part.tb_bytes = ue.gained_bytes;
        allocations.push_back(part);
        ue.average_bytes += static_cast<double>(ue.gained_bytes) * m_average_share;
    }
}

/// The next part of the resources that is free.
Allocation
Scheduler::Part(int32_t rbs, int32_t symbols)
{
    Allocation part;
    part.rbs = rbs;
    part.symbols = symbols;
    part.first_symbol = m_resources.first_symbol;
    if (m_config.ofdma)
    {
        part.first_rb = m_used;
    }
    else
    {
        part.first_symbol += m_resources.from_end ? m_resources.symbols - m_used - symbols : m_used;
    }
    m_used += m_config.ofdma ? rbs : symbols;
    m_left -= m_config.ofdma ? rbs : symbols;
    return part;
}

/// What the UE would gain next: one symbol or RBG, at first as many as hold more than headers; 0 if so many are not left.
int32_t
Scheduler::Step(const Ue& ue)
{
    const int32_t unit = m_config.ofdma ? m_config.rbg_rbs : 1;
    int32_t step = std::min(unit, m_left);
    const int64_t least = std::max<int64_t>(
        std::min({kLeastTbBytes, ue.demand_bytes, static_cast<int64_t>(ue.rate_bytes)}), 1);
    while (ue.units == 0 && Bytes(ue, step) < least)
    {
        if (step == m_left)
        {
            return 0;
        }
        step = std::min(step + unit, m_left);
    }
    return step;
}

} // namespace cosim::nr
