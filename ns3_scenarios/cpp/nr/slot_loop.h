// SPDX-License-Identifier: GPL-2.0-only
//
// Time in a cell: what happens at the starts of slots, and when transmissions have been decoded.
#pragma once

#include "agenda.h"
#include "buffers.h"
#include "cell.h"
#include "config.h"
#include "frame.h"
#include "gnb_mac.h"
#include "harq.h"
#include "kpi.h"
#include "slot_book.h"
#include "ue_context.h"

#include <array>
#include <cstdint>
#include <deque>
#include <vector>

namespace cosim::nr
{

class SlotLoop
{
  public:
    SlotLoop(const CellConfig& config,
             const Frame& frame,
             Agenda& agenda,
             Buffers& buffers,
             Harq& harq,
             SlotBook& book,
             GnbMac& gnb,
             UeContexts& ues,
             RadioKpis& kpis);

    /// Look for work at the next slot's start.
    void Wake(int64_t now_ns);

    int64_t NextNs() const;

    /// Everything due up to and at a time.
    void RunTo(int64_t t_ns);

    void RecordTransmissions()
    {
        m_record = true;
    }
    std::vector<Transmission> TakeTransmissions();

  private:
    /// A TB whose transmission is decoded, or not, at a time.
    struct Result
    {
        int64_t t_ns;
        int32_t index;
        int64_t transmission; // its number
    };

    void RunSlot(int64_t slot);
    void HearAcks(int64_t now_ns, int64_t slot);
    void BuildPdus(int64_t now_ns, int64_t slot);
    void SendSrs(int64_t now_ns, int64_t slot);
    void Transmit(int64_t slot);
    int64_t NextSlot(int64_t now_ns, int64_t slot);
    void Decode(int64_t now_ns, int32_t index);
    void DecodeUplink(int64_t now_ns, int32_t index);
    void Judge(int64_t now_ns, int32_t index);

    const CellConfig& m_config;
    const Frame& m_frame;
    Agenda& m_agenda;
    Buffers& m_buffers;
    Harq& m_harq;
    SlotBook& m_book;
    GnbMac& m_gnb;
    UeContexts& m_ues;
    RadioKpis& m_kpis;
    int64_t m_slot{-1};           // the latest that has begun
    int64_t m_next_slot{kNever};  // with something to do
    std::array<std::deque<Result>, 2> m_results; // uplink, downlink; in order of time
    bool m_record{false};
    std::vector<Transmission> m_transmissions;
};

} // namespace cosim::nr
