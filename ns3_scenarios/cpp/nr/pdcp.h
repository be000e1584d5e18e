// SPDX-License-Identifier: GPL-2.0-only
//
// The receiving PDCP entity's reordering (38.323 5.2.2.1 and 5.2.2.2): RLC delivers SDUs as they become whole.
#pragma once

#include "agenda.h"
#include "config.h"
#include "serial_ring.h"

#include <cstdint>
#include <functional>

namespace cosim::nr
{

class PdcpReceiver
{
  public:
    /// `parts` end with the delivery.
    using Deliver = std::function<void(int64_t now_ns, int64_t serial, const AccessParts& parts)>;
    /// SDUs after this one have been delivered without it.
    using Lose = std::function<void(int64_t serial)>;

    PdcpReceiver(int64_t t_reordering_ns, Agenda& agenda, Deliver deliver, Lose lose);

    /// False for one that was received, skipped or lost.
    bool Expects(int64_t serial) const;

    /// An expected SDU is whole; `parts` end now.
    void Receive(int64_t now_ns, int64_t serial, const AccessParts& parts);

    /// An SDU will never come, and the ones after it need not wait for it.
    void Skip(int64_t now_ns, int64_t serial);

  private:
    enum class State : uint8_t
    {
        kMissing,
        kHeld,
        kSkipped
    };

    struct Sdu
    {
        State state{State::kMissing};
        int64_t received_ns{0};
        AccessParts parts;
    };

    void Place(int64_t now_ns, int64_t serial, const Sdu& sdu);
    void PassFront(int64_t now_ns);
    void DeliverRun(int64_t now_ns);
    void Await(int64_t now_ns);
    void Expire();

    int64_t m_t_reordering_ns;
    Agenda& m_agenda;
    Deliver m_deliver;
    Lose m_lose;
    SerialRing<Sdu> m_sdus;      // from RX_DELIV to RX_NEXT
    int64_t m_reordering_end{0}; // RX_REORD
    Timer m_reordering;
};

} // namespace cosim::nr
