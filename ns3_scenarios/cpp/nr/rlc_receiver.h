// SPDX-License-Identifier: GPL-2.0-only
//
// The receiving side of an RLC entity: 38.322 5.2.2.2 (UM), 5.2.3.2 and 5.3.4 (AM). In UM too every SDU counts as
// numbered, where the standard numbers those alone that are segmented.
#pragma once

#include "agenda.h"
#include "config.h"
#include "rlc.h"
#include "sdu_segments.h"
#include "serial_ring.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace cosim::nr
{

class RlcReceiver
{
  public:
    /// The PDU that made its SDU whole. In UM also one of an SDU that PDCP may no longer expect.
    using Complete = std::function<void(int64_t now_ns, const RlcPdu& pdu)>;
    /// UM: segments of an SDU have been thrown away.
    using Discard = std::function<void(int64_t serial)>;
    /// A status report is ready.
    using Wake = std::function<void()>;

    RlcReceiver(const RlcConfig& config, Agenda& agenda, Complete complete, Discard discard, Wake wake);

    void Receive(int64_t now_ns, const RlcPdu& pdu);

    /// The transmitter has abandoned an SDU; false if it was whole already.
    bool Skip(int64_t now_ns, int64_t serial);

    /// Bytes of the status report with RLC header if one may be sent now, else 0.
    int64_t StatusBytes() const;

    /// Put a ready status report into `room_bytes`; returns the bytes used, 0 if there is none or no room.
    int64_t FillStatus(int64_t now_ns, int64_t room_bytes, RlcPdu& pdu);

  private:
    struct Sdu
    {
        bool complete{false};
        SduSegments segments;
    };

    void ReceiveUnacknowledged(int64_t now_ns, const RlcPdu& pdu);
    void ReceiveAcknowledged(int64_t now_ns, const RlcPdu& pdu);
    bool Store(const RlcPdu& pdu);
    void Progress(int64_t now_ns);
    bool Lacks(int64_t base) const;
    void ExpireReassembly();
    void DiscardUpTo(int64_t serial);
    bool ClosePolls();
    void TriggerStatus();
    bool StatusReady() const;
    int64_t Report(int64_t room_bytes, RlcPdu& status) const;

    RlcConfig m_config;
    Agenda& m_agenda;
    Complete m_complete;
    Discard m_discard;
    Wake m_wake;
    SerialRing<Sdu> m_sdus;            // from RX_Next (UM: RX_Next_Reassembly) to RX_Next_Highest
    int64_t m_reassembly_end{0};       // RX_Next_Status_Trigger (UM: RX_Timer_Trigger)
    int64_t m_highest_status{0};       // RX_Highest_Status
    std::vector<int64_t> m_open_polls; // SNs of polls that have not been answered
    bool m_status_due{false};
    Timer m_reassembly;
    Timer m_status_prohibit;
};

} // namespace cosim::nr
