// SPDX-License-Identifier: GPL-2.0-only
#include "frame.h"

#include "transport_block.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace cosim::nr
{

namespace
{

constexpr int64_t kSubframeNs = 1'000'000;

/// Symbols of `symbols` that are left beside the control channel, or 0 if they hold no resource elements for data.
int32_t DataSymbols(const CarrierConfig& carrier, int32_t symbols, int32_t control_symbols)
{
    const int32_t rest = symbols - control_symbols;
    return rest > 0 && ResourceElements(carrier, 1, rest) > 0 ? rest : 0;
}

template <typename Slots, typename Has>
void Require(const Slots& slots, Has has, const std::string& what)
{
    if (std::none_of(slots.begin(), slots.end(), has))
    {
        throw std::invalid_argument("no slot of the pattern has " + what);
    }
}

} // namespace

Frame::Frame(const CarrierConfig& carrier, const TimingConfig& timing)
{
    if (carrier.numerology < 0 || carrier.numerology > 2)
    {
        throw std::invalid_argument("numerology " + std::to_string(carrier.numerology) + " is not 0, 1 or 2");
    }
    m_slot_ns = kSubframeNs >> carrier.numerology;
    const bool fdd =
        carrier.slots.size() == 1 && carrier.slots[0].dl_symbols == kSymbols && carrier.slots[0].ul_symbols == kSymbols;
    for (const SlotShape& shape : carrier.slots)
    {
        const int32_t used = shape.dl_symbols + shape.ul_symbols;
        if (shape.dl_symbols < 0 || shape.ul_symbols < 0 || (!fdd && used > kSymbols))
        {
            throw std::invalid_argument("a slot has " + std::to_string(shape.dl_symbols) + " downlink and " +
                                        std::to_string(shape.ul_symbols) + " uplink symbols; it has 14 in all");
        }
        Slot slot;
        slot.pdcch = shape.dl_symbols >= std::max(1, carrier.pdcch_symbols);
        slot.pucch = shape.ul_symbols >= std::max(1, carrier.pucch_symbols);
        slot.dl_symbols = DataSymbols(carrier, shape.dl_symbols, carrier.pdcch_symbols);
        slot.ul_symbols = DataSymbols(carrier, shape.ul_symbols, carrier.pucch_symbols);
        slot.first_dl_symbol = carrier.pdcch_symbols;
        slot.first_ul_symbol = kSymbols - shape.ul_symbols;
        m_slots.push_back(slot);
    }
    Require(m_slots, [](const Slot& slot) { return slot.dl_symbols > 0; }, "symbols for PDSCH");
    Require(m_slots, [](const Slot& slot) { return slot.ul_symbols > 0; }, "symbols for PUSCH");
    Require(m_slots, [](const Slot& slot) { return slot.pdcch; }, "symbols for PDCCH");
    Require(m_slots, [](const Slot& slot) { return slot.pucch; }, "symbols for PUCCH");
    Grant(timing.k2_slots);
}

void Frame::Grant(int64_t k2_slots)
{
    for (int64_t slot = 0; slot < Period(); ++slot)
    {
        Slot& here = m_slots[static_cast<size_t>(slot)];
        while (!At(slot + here.slots_to_pucch).pucch)
        {
            ++here.slots_to_pucch;
        }
        here.slots_since_dci = k2_slots;
        while (!At(slot - here.slots_since_dci).pdcch)
        {
            ++here.slots_since_dci;
        }
    }
    for (int64_t dci = 0; dci < Period(); ++dci)
    {
        Slot& here = m_slots[static_cast<size_t>(dci)];
        for (int64_t after = k2_slots; here.pdcch && after < k2_slots + Period(); ++after)
        {
            if (At(dci + after).ul_symbols > 0 && DciSlot(dci + after) == dci)
            {
                here.ul_slots_after.push_back(after);
            }
        }
    }
}

} // namespace cosim::nr
