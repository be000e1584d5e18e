// SPDX-License-Identifier: GPL-2.0-only
#include "harq.h"

#include "error_model.h"
#include "mcs.h"

#include <algorithm>
#include <numeric>

namespace cosim::nr
{

int64_t
SumOf(const LcgBytes& bytes)
{
    return std::accumulate(bytes.begin(), bytes.end(), int64_t{0});
}

int64_t
BsrBytes(const LcgBytes& waiting, const RlcConfig& rlc)
{
    if (rlc.bsr_bytes > 0)
    {
        return rlc.bsr_bytes;
    }
    const auto groups = std::count_if(waiting.begin(), waiting.end(), [](int64_t n_bytes) { return n_bytes > 0; });
    return groups > 1 ? 3 + groups : 2;
}

Harq::Harq(const CellConfig& config)
    : m_config(config.harq),
      m_link(config.link),
      m_ul_mcs_table(config.carrier.ul_mcs_table),
      m_dl_mcs_table(config.carrier.dl_mcs_table),
      m_of(2 * config.ues.size() * static_cast<size_t>(config.harq.processes), -1),
      m_in_flight(2 * config.ues.size(), 0),
      m_blers(2 * config.ues.size())
{
    for (const UeConfig& ue : config.ues)
    {
        m_background.push_back(ue.background);
        m_draws.emplace_back(config.seed, "nr/" + ue.name + "/ul-decode");
        m_draws.emplace_back(config.seed, "nr/" + ue.name + "/dl-decode");
    }
}

bool
Harq::HasFree(int32_t ue, bool up) const
{
    return m_in_flight[Entity(ue, up)] < m_config.processes;
}

int32_t
Harq::New(int32_t ue, bool up, const Allocation& allocation)
{
    int32_t index = static_cast<int32_t>(m_blocks.size());
    if (m_free.empty())
    {
        m_blocks.emplace_back();
    }
    else
    {
        index = m_free.back();
        m_free.pop_back();
    }
    const size_t entity = Entity(ue, up);
    const auto processes = m_of.begin() + static_cast<int64_t>(entity) * m_config.processes;
    const auto process = std::find(processes, processes + m_config.processes, -1);
    *process = index;
    ++m_in_flight[entity];

    TransportBlock& block = m_blocks[static_cast<size_t>(index)];
    static_cast<TransportBlockState&>(block) = TransportBlockState{};
    block.ue = ue;
    block.up = up;
    block.process = static_cast<int32_t>(process - processes);
    block.allocation = allocation;
    block.n_bytes = allocation.tb_bytes;
    block.air = m_background[static_cast<size_t>(ue)] ? nullptr : std::make_shared<AirTimes>();
    return index;
}

void
Harq::Release(int32_t index)
{
    TransportBlock& block = (*this)[index];
    const size_t entity = Entity(block.ue, block.up);
    m_of[entity * static_cast<size_t>(m_config.processes) + static_cast<size_t>(block.process)] = -1;
    --m_in_flight[entity];
    block.pdus.clear();
    block.runs.clear();
    block.air.reset();
    block.transmission = -1;
    m_free.push_back(index);
}

int32_t
Harq::Of(int32_t ue, bool up, int32_t process) const
{
    return m_of[Entity(ue, up) * static_cast<size_t>(m_config.processes) + static_cast<size_t>(process)];
}

void
Harq::Transmit(int32_t index, int64_t slot, const Allocation& allocation, const Frame& frame)
{
    TransportBlock& block = (*this)[index];
    block.allocation = allocation;
    block.slot = slot;
    block.start_ns = frame.SymbolNs(slot, allocation.first_symbol);
    block.end_ns = frame.SymbolNs(slot, allocation.first_symbol + allocation.symbols);
    block.judged = false;
    block.interrupted = false;
    ++block.round;
    block.transmission = m_transmissions++;
    if (block.air)
    {
        block.air->done_ns = block.end_ns;
        if (block.round == 1)
        {
            block.air->start_ns = block.start_ns;
            block.air->end_ns = block.end_ns;
        }
    }
}

void
Harq::Judge(int32_t index, double sinr_db, bool granted)
{
    TransportBlock& block = (*this)[index];
    const Modulation modulation = Mcs(block.up ? m_ul_mcs_table : m_dl_mcs_table, block.allocation.mcs);
    const double draw = m_draws[Entity(block.ue, block.up)].Uniform();
    block.judged = true;
    if (block.interrupted || !granted)
    {
        block.decoded = false;
        return;
    }
    const double heard_db = ReceiverSinrDb(sinr_db, m_link);
    block.sinr_db = block.heard
                        ? CombinedSinrDb(block.sinr_db, heard_db, modulation, m_config.combining_loss_db)
                        : heard_db;
    block.heard = true;
    Bler& known = m_blers[Entity(block.ue, block.up)];
    if (known.sinr_db != block.sinr_db || known.mcs != block.allocation.mcs || known.n_bytes != block.n_bytes)
    {
        known = Bler{block.sinr_db, block.allocation.mcs, block.n_bytes, 0};
        known.bler = TransportBlockBler(block.sinr_db, modulation, 8 * block.n_bytes);
    }
    block.decoded = draw >= known.bler;
}

void
Harq::Interrupt(int32_t ue, int64_t now_ns)
{
    for (const bool up : {true, false})
    {
        for (int32_t process = 0; process < m_config.processes; ++process)
        {
            const int32_t index = Of(ue, up, process);
            if (index >= 0 && !(*this)[index].judged && (*this)[index].end_ns > now_ns)
            {
                (*this)[index].interrupted = true;
            }
        }
    }
}

} // namespace cosim::nr
