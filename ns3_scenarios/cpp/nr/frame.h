// SPDX-License-Identifier: GPL-2.0-only
//
// Slots and symbols in time (38.211 4.3), and which slot's DCI grants which slot's PUSCH.
#pragma once

#include "config.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace cosim::nr
{

inline constexpr int32_t kSymbols = 14;

/// Slots are counted from 0 at time 0. Symbols are taken as equally long (the longer first symbol of each half
/// subframe, 38.211 5.3.1, is 0.5 us). A slot whose few symbols of a direction leave no resource elements beside the
/// control symbols and the DMRS has none that can carry data: a special slot with 1 or 2 uplink symbols has PUCCH only.
class Frame
{
  public:
    /// Throws std::invalid_argument if no slot can carry PUSCH, PDSCH, PDCCH or PUCCH, if the symbols of a TDD slot
    /// overlap, or the numerology is not 0 to 2.
    Frame(const CarrierConfig& carrier, const TimingConfig& timing);

    int64_t SlotNs() const
    {
        return m_slot_ns;
    }

    int64_t StartNs(int64_t slot) const
    {
        return slot * m_slot_ns;
    }

    /// Start of a symbol; `symbol` 14 is the slot's end.
    int64_t SymbolNs(int64_t slot, int32_t symbol) const
    {
        return slot * m_slot_ns + m_slot_ns * symbol / kSymbols;
    }

    /// The slot that holds an instant, and the first slot that starts at it or later.
    int64_t SlotAt(int64_t t_ns) const
    {
        const int64_t slot = t_ns / m_slot_ns;
        return t_ns < slot * m_slot_ns ? slot - 1 : slot;
    }

    int64_t SlotFrom(int64_t t_ns) const
    {
        return SlotAt(t_ns + m_slot_ns - 1);
    }

    /// Symbols that can carry PDSCH / PUSCH: without PDCCH and PUCCH; 0 if the slot has none.
    int32_t DlSymbols(int64_t slot) const
    {
        return At(slot).dl_symbols;
    }

    int32_t UlSymbols(int64_t slot) const
    {
        return At(slot).ul_symbols;
    }

    int32_t FirstDlSymbol(int64_t slot) const // after the PDCCH
    {
        return At(slot).first_dl_symbol;
    }

    int32_t FirstUlSymbol(int64_t slot) const // PUCCH comes after the last
    {
        return At(slot).first_ul_symbol;
    }

    bool HasPdcch(int64_t slot) const
    {
        return At(slot).pdcch;
    }

    bool HasPucch(int64_t slot) const // SRs and HARQ-ACKs can be sent, in the slot's last symbols
    {
        return At(slot).pucch;
    }

    /// The slot whose DCI grants PUSCH in `ul_slot`: the latest with a PDCCH at least K2 before.
    int64_t DciSlot(int64_t ul_slot) const
    {
        return ul_slot - At(ul_slot).slots_since_dci;
    }

    /// How many slots after this one those come that have UlSymbols and whose DciSlot is this one, in order. Often
    /// none, sometimes several.
    const std::vector<int64_t>& UlSlotsAfter(int64_t dci_slot) const
    {
        return At(dci_slot).ul_slots_after;
    }

    /// The first slot with PUCCH at or after one.
    int64_t PucchFrom(int64_t slot) const
    {
        return slot + At(slot).slots_to_pucch;
    }

    int64_t Period() const // slots of the pattern
    {
        return static_cast<int64_t>(m_slots.size());
    }

  private:
    struct Slot
    {
        int32_t dl_symbols{0};
        int32_t ul_symbols{0};
        int32_t first_dl_symbol{0};
        int32_t first_ul_symbol{0};
        bool pdcch{false};
        bool pucch{false};
        int64_t slots_since_dci{0};
        int64_t slots_to_pucch{0};
        std::vector<int64_t> ul_slots_after;
    };

    const Slot& At(int64_t slot) const
    {
        const int64_t rest = slot % Period();
        return m_slots[static_cast<size_t>(rest < 0 ? rest + Period() : rest)];
    }

    void Grant(int64_t k2_slots);

    int64_t m_slot_ns;
    std::vector<Slot> m_slots; // of one period
};

} // namespace cosim::nr
