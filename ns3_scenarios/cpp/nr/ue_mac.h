// SPDX-License-Identifier: GPL-2.0-only
//
// A UE's uplink MAC: scheduling requests (38.321 5.4.4), buffer status reports (5.4.5), and its MAC PDUs.
#pragma once

#include "buffers.h"
#include "config.h"
#include "frame.h"
#include "harq.h"
#include "kpi.h"
#include "rlc.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace cosim::nr
{

class UeMac
{
  public:
    UeMac(const CellConfig& config, int32_t ue, const Frame& frame, Buffers& buffers, RadioKpis& kpis);

    void SetGrants(const UplinkGrantConfig& grants)
    {
        m_grants = grants;
    }

    /// Data comes to the RLC: the wait for resources that it begins or joins; none if a grant or a BSR covers it.
    std::shared_ptr<AccessCycle> Join(int64_t now_ns);

    /// Trigger an SR if there is data of which the gNB will not hear otherwise.
    void Look(int64_t now_ns);

    /// Whether data waits.
    bool HasData(int64_t now_ns) const
    {
        return m_buffers.Any(now_ns, m_ue, true);
    }

    /// The first slot from `slot` on in whose PUCCH this UE sends an SR; kNever if none is triggered or a PUSCH is to come.
    int64_t SrSlot(int64_t slot) const;
    void SendSr(int64_t slot);

    /// The gNB has decided on a PUSCH of this UE.
    void Grant()
    {
        ++m_unbuilt;
    }

    /// Build the MAC PDU of a PUSCH; false if there is nothing in it but padding and a BSR of zero.
    bool Build(int64_t now_ns, TransportBlock& block);

    /// A TB was given up, and its BSR with it.
    void Lose(const TransportBlock& block);

  private:
    enum class Sr
    {
        kNone,
        kTriggered,
        kSent
    };

    void Trigger(int64_t now_ns);
    LcgBytes Waiting(int64_t now_ns) const;

    const CellConfig& m_config;
    int32_t m_ue;
    const Frame& m_frame;
    Buffers& m_buffers;
    RadioKpis& m_kpis;
    UplinkGrantConfig m_grants;
    Sr m_sr{Sr::kNone};
    int64_t m_triggered_ns{0};
    int64_t m_sr_ready_slot{0};   // no SR before
    int64_t m_sr_allowed_ns{0};   // end of sr-ProhibitTimer
    int32_t m_unbuilt{0};         // grants whose MAC PDU is still to be built
    int64_t m_serial{0};          // of the next MAC PDU
    int64_t m_reported_bytes{0};  // by the latest BSR
    int64_t m_reported_serial{-1};
    std::shared_ptr<AccessCycle> m_cycle; // under way
};

} // namespace cosim::nr
