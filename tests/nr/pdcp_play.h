// SPDX-License-Identifier: GPL-2.0-only
//
// PDCP fed by hand, and where an SDU's time went.
#pragma once

#include "../../ns3_scenarios/cpp/nr/agenda.h"
#include "../../ns3_scenarios/cpp/nr/pdcp.h"
#include "../../ns3_scenarios/cpp/nr/sdu_ledger.h"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace cosim::nr
{

class PdcpPlay
{
  public:
    explicit PdcpPlay(int64_t t_reordering_ns)
        : m_pdcp(
              t_reordering_ns,
              m_agenda,
              [this](int64_t now_ns, int64_t serial, const AccessParts& parts) {
                  Log(now_ns, "delivers", serial);
                  log.back() += " after " + std::to_string(parts.pdcp_reorder_ns);
              },
              [this](int64_t serial) { Log(m_agenda.NowNs(), "loses", serial); })
    {
    }

    void RunTo(int64_t t_ns)
    {
        m_agenda.RunTo(t_ns);
    }

    void Receive(int64_t t_ns, int64_t serial)
    {
        RunTo(t_ns);
        if (m_pdcp.Expects(serial))
        {
            m_pdcp.Receive(t_ns, serial, {});
        }
        else
        {
            Log(t_ns, "discards", serial);
        }
    }

    void Skip(int64_t t_ns, int64_t serial)
    {
        RunTo(t_ns);
        m_pdcp.Skip(t_ns, serial);
    }

    std::vector<std::string> log;

  private:
    void Log(int64_t t_ns, const std::string& what, int64_t serial)
    {
        log.push_back(std::to_string(t_ns) + " " + what + " " + std::to_string(serial));
    }

    Agenda m_agenda;
    PdcpReceiver m_pdcp;
};

/// Parts of an SDU that came at `arrival_ns`, in the order of AccessParts. `cycle` is empty or SR end and PUSCH start;
/// `first` and `last` are start, end and done of a TB, `last` is empty if it is the first one.
inline std::vector<int64_t>
PartsOf(int64_t arrival_ns,
        const std::vector<int64_t>& cycle,
        const std::vector<int64_t>& first,
        const std::vector<int64_t>& last,
        int64_t now_ns)
{
    SduRecord sdu;
    sdu.arrival_ns = arrival_ns;
    if (!cycle.empty())
    {
        sdu.cycle = std::make_shared<AccessCycle>(AccessCycle{cycle[0], cycle[1]});
    }
    const AirTimes one{first[0], first[1], first[2]};
    const AirTimes other = last.empty() ? one : AirTimes{last[0], last[1], last[2]};
    const AccessParts parts = PartsUntilReceipt(sdu, one, last.empty() ? one : other, now_ns);
    return {parts.sr_wait_ns,
            parts.grant_wait_ns,
            parts.queue_ns,
            parts.air_ns,
            parts.harq_ns,
            parts.rlc_recovery_ns,
            parts.pdcp_reorder_ns,
            parts.processing_ns};
}

} // namespace cosim::nr
