// SPDX-License-Identifier: GPL-2.0-only
//
// What became of each SDU of a bearer: enqueued == waiting + inside + delivered + dropped, in SDUs and in bytes.
#pragma once

#include "rlc.h"
#include "serial_ring.h"

#include <cstdint>
#include <memory>

namespace cosim::nr
{

struct SduRecord
{
    uint64_t handle{0};
    int64_t n_bytes{0}; // without PDCP header
    int64_t arrival_ns{0};
    std::shared_ptr<AccessCycle> cycle;
    bool settled{false};
};

class SduLedger
{
  public:
    void Add(SduRecord sdu)
    {
        m_waiting_bytes += sdu.n_bytes;
        m_sdus.Append(std::move(sdu));
    }

    /// Its first byte has been sent.
    void Sent(int64_t serial)
    {
        const int64_t n_bytes = m_sdus[serial].n_bytes;
        m_waiting_bytes -= n_bytes;
        m_inside_bytes += n_bytes;
    }

    /// Neither delivered nor dropped.
    bool Open(int64_t serial) const
    {
        return m_sdus.Holds(serial) && !m_sdus[serial].settled;
    }

    const SduRecord& operator[](int64_t serial) const
    {
        return m_sdus[serial];
    }

    /// An open SDU that had been sent is delivered or dropped.
    SduRecord Settle(int64_t serial)
    {
        SduRecord sdu = m_sdus[serial];
        m_inside_bytes -= sdu.n_bytes;
        m_sdus[serial].settled = true;
        while (!m_sdus.Empty() && m_sdus[m_sdus.First()].settled)
        {
            m_sdus.PopFront();
        }
        return sdu;
    }

    int64_t WaitingBytes() const
    {
        return m_waiting_bytes;
    }

    int64_t InsideBytes() const
    {
        return m_inside_bytes;
    }

  private:
    SerialRing<SduRecord> m_sdus;
    int64_t m_waiting_bytes{0};
    int64_t m_inside_bytes{0};
};

/// Where an SDU's time went until `now_ns`, when the PDU came in whose receipt made it whole: in the TB `air`; its bytes
/// were first sent in the TB `first`. The parts are never negative and add up to now_ns - sdu.arrival_ns.
AccessParts PartsUntilReceipt(const SduRecord& sdu, const AirTimes& first, const AirTimes& air, int64_t now_ns);

} // namespace cosim::nr
