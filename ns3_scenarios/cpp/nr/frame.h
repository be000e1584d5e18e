// SPDX-License-Identifier: GPL-2.0-only
//
// Slots and symbols in time (38.211 4.3), and which slot's DCI grants which slot's PUSCH.
#pragma once

#include "config.h"

#include <cstdint>
#include <vector>

namespace cosim::nr
{

inline constexpr int32_t kSymbols = 14;

/// Slots are counted from 0 at time 0. Symbols are taken as equally long (the longer first symbol of each half
/// subframe, 38.211 5.3.1, is 0.5 us).
class Frame
{
  public:
    /// Throws std::invalid_argument if no slot has uplink, none has downlink, or the numerology is not 0 to 2.
    Frame(const CarrierConfig& carrier, const TimingConfig& timing);

    int64_t SlotNs() const;
    int64_t StartNs(int64_t slot) const;
    /// Start of a symbol; `symbol` 14 is the slot's end.
    int64_t SymbolNs(int64_t slot, int32_t symbol) const;
    /// The slot that holds an instant, and the first slot that starts at it or later.
    int64_t SlotAt(int64_t t_ns) const;
    int64_t SlotFrom(int64_t t_ns) const;

    /// Symbols that can carry PDSCH / PUSCH: without PDCCH and PUCCH; 0 if the slot has none.
    int32_t DlSymbols(int64_t slot) const;
    int32_t UlSymbols(int64_t slot) const;
    int32_t FirstDlSymbol(int64_t slot) const; // after the PDCCH
    int32_t FirstUlSymbol(int64_t slot) const; // PUCCH comes after the last
    bool HasPdcch(int64_t slot) const;
    bool HasPucch(int64_t slot) const; // SRs and HARQ-ACKs can be sent, in the slot's last symbols

    /// The slot whose DCI grants PUSCH in `ul_slot`: the latest with a PDCCH at least K2 before.
    int64_t DciSlot(int64_t ul_slot) const;
    /// Slots with UlSymbols whose DciSlot is this one, in order. Often none, sometimes several.
    std::vector<int64_t> UlSlotsOf(int64_t dci_slot) const;
    /// The first slot with PUCCH at or after one.
    int64_t PucchFrom(int64_t slot) const;

    int64_t Period() const; // slots of the pattern
};

} // namespace cosim::nr
