// SPDX-License-Identifier: GPL-2.0-only
//
// Two joined bearers on a MAC that does as it is told: which TB has how much room, which is lost, which comes late.
#pragma once

#include "../../ns3_scenarios/cpp/nr/agenda.h"
#include "../../ns3_scenarios/cpp/nr/rlc.h"

#include <array>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace cosim::nr
{

class RlcPlay
{
  public:
    static constexpr int64_t kSlotNs = 500'000;
    static constexpr int64_t kHarqRoundNs = 2'500'000;
    static constexpr int64_t kDecodeNs = 100'000;

    struct Sdu
    {
        int64_t t_ns{0};
        int32_t side{0}; // 0 up, 1 down
        int64_t n_bytes{0};
    };

    explicit RlcPlay(const RlcConfig& config)
        : m_config(config)
    {
        for (int32_t side = 0; side < 2; ++side)
        {
            m_bearers[side] = std::make_unique<RlcBearer>(
                config,
                m_agenda,
                [this, side](const RlcArrival& arrival) { OnArrival(side, arrival); },
                [this, side](uint64_t handle, int64_t n_bytes) { OnGiveUp(side, handle, n_bytes); },
                [this, side] { m_wakes.push_back(Line(side, "wakes")); });
        }
        RlcBearer::Join(*m_bearers[0], *m_bearers[1]);
    }

    /// SDUs in order of time; their handles are their numbers in their direction.
    std::vector<Sdu> sdus;
    /// Room of the n-th TB of a direction, in turn.
    std::array<std::vector<int64_t>, 2> rooms;
    /// HARQ retransmissions of the n-th TB of a direction, -1: lost; 0 beyond the list's end.
    std::array<std::vector<int32_t>, 2> fates;
    /// A direction has a TB every so many slots.
    std::array<int32_t, 2> every{1, 1};

    void Play(int32_t slots)
    {
        std::size_t next = 0;
        for (int32_t slot = 0; slot < slots; ++slot)
        {
            m_agenda.RunTo(slot * kSlotNs);
            for (; next < sdus.size() && sdus[next].t_ns <= m_agenda.NowNs(); ++next)
            {
                Enqueue(sdus[next]);
            }
            for (int32_t side = 0; side < 2; ++side)
            {
                if (slot % every[side] == 0 && m_bearers[side]->PendingBytes() > 0)
                {
                    Send(side);
                }
                Check(m_sides[side].enqueued == m_sides[side].delivered + m_sides[side].dropped +
                                                    m_bearers[side]->WaitingBytes() + m_bearers[side]->UnsettledBytes(),
                      "bytes are missing");
            }
        }
    }

    std::vector<std::string> log;
    /// Each: t_ns, side, handle, bytes, time of arrival at the transmitter, the eight parts.
    std::vector<std::vector<int64_t>> arrivals;

    std::vector<std::string> Wakes() const
    {
        return m_wakes;
    }

    /// Waiting and unsettled bytes of a direction.
    std::vector<int64_t> Inside(int32_t side) const
    {
        return {m_bearers[side]->WaitingBytes(), m_bearers[side]->UnsettledBytes(), m_bearers[side]->PendingBytes()};
    }

    bool Idle() const
    {
        return m_agenda.NextNs() == kNever;
    }

  private:
    struct Side
    {
        std::vector<int64_t> came_ns;
        std::vector<int64_t> bytes;
        int64_t enqueued{0};
        int64_t delivered{0};
        int64_t dropped{0};
        std::size_t tbs{0};
    };

    static void Check(bool holds, const char* what)
    {
        if (!holds)
        {
            throw std::logic_error(what);
        }
    }

    std::string Line(int32_t side, const std::string& what) const
    {
        std::array<char, 32> head{};
        const double now_ms = static_cast<double>(m_agenda.NowNs()) / 1e6;
        std::snprintf(head.data(), head.size(), "%.1f %s ", now_ms, side ? "down" : "up");
        return head.data() + what;
    }

    void Enqueue(const Sdu& sdu)
    {
        Side& side = m_sides[sdu.side];
        const uint64_t handle = side.bytes.size();
        if (!m_bearers[sdu.side]->Enqueue(m_agenda.NowNs(), handle, sdu.n_bytes, nullptr))
        {
            log.push_back(Line(sdu.side, "refuses"));
            return;
        }
        side.came_ns.push_back(m_agenda.NowNs());
        side.bytes.push_back(sdu.n_bytes);
        side.enqueued += sdu.n_bytes;
    }

    void Send(int32_t side)
    {
        const std::size_t tb = m_sides[side].tbs++;
        const int64_t room = rooms[side][tb % rooms[side].size()];
        const int32_t fate = tb < fates[side].size() ? fates[side][tb] : 0;
        auto air = std::make_shared<AirTimes>();
        std::vector<RlcPdu> pdus;
        const int64_t used = m_bearers[side]->Fill(m_agenda.NowNs(), room, air, pdus);
        Check(used <= room, "a TB is fuller than it may be");
        int64_t sum = 0;
        std::string text = fate < 0 ? "loses" : "sends";
        for (const RlcPdu& pdu : pdus)
        {
            sum += m_config.mac_bytes + pdu.n_bytes;
            sum += pdu.status ? 0 : m_config.rlc_bytes + (pdu.offset > 0 ? 2 : 0);
            Check(pdu.n_bytes > 0, "an empty PDU");
            text += " " + Text(pdu);
        }
        Check(sum == used, "the bytes used are not those of the PDUs");
        if (pdus.empty())
        {
            return;
        }
        log.push_back(Line(side, text));
        air->start_ns = m_agenda.NowNs() + kSlotNs;
        air->end_ns = air->start_ns + kSlotNs;
        air->done_ns = air->end_ns + (fate > 0 ? fate * kHarqRoundNs : 0);
        if (fate >= 0)
        {
            m_agenda.At(air->done_ns + kDecodeNs, [this, side, pdus] {
                for (const RlcPdu& pdu : pdus)
                {
                    m_bearers[side]->Receive(m_agenda.NowNs(), pdu);
                }
            });
        }
    }

    /// "3": an SDU, "3[10:20]" a segment, "?": a poll, "<4": a status report, "!1+2": 1 and 2 are missing.
    static std::string Text(const RlcPdu& pdu)
    {
        const auto range = [](int64_t start, int64_t end) {
            return "[" + std::to_string(start) + ":" + (end == RlcNack::kSduEnd ? "" : std::to_string(end)) + "]";
        };
        if (!pdu.status)
        {
            const bool whole = pdu.offset == 0 && pdu.last;
            return std::to_string(pdu.serial) + (whole ? "" : range(pdu.offset, pdu.offset + pdu.n_bytes)) +
                   (pdu.poll ? "?" : "");
        }
        std::string text = "<" + std::to_string(pdu.ack);
        for (const RlcNack& nack : pdu.nacks)
        {
            text += "!" + std::to_string(nack.serial) + (nack.count > 1 ? "+" + std::to_string(nack.count) : "");
            text += nack.start == 0 && nack.end == RlcNack::kSduEnd ? "" : range(nack.start, nack.end);
        }
        return text;
    }

    void OnArrival(int32_t side, const RlcArrival& arrival)
    {
        Side& own = m_sides[side];
        Check(arrival.t_ns == m_agenda.NowNs(), "a delivery at another time than its own");
        Check(arrival.n_bytes == own.bytes[arrival.handle], "another size than it was sent with");
        own.delivered += arrival.n_bytes;
        log.push_back(Line(side, "delivers " + std::to_string(arrival.handle)));
        const AccessParts& parts = arrival.parts;
        arrivals.push_back({arrival.t_ns,
                            side,
                            static_cast<int64_t>(arrival.handle),
                            arrival.n_bytes,
                            own.came_ns[arrival.handle],
                            parts.sr_wait_ns,
                            parts.grant_wait_ns,
                            parts.queue_ns,
                            parts.air_ns,
                            parts.harq_ns,
                            parts.rlc_recovery_ns,
                            parts.pdcp_reorder_ns,
                            parts.processing_ns});
    }

    void OnGiveUp(int32_t side, uint64_t handle, int64_t n_bytes)
    {
        Check(n_bytes == m_sides[side].bytes[handle], "another size than it was sent with");
        m_sides[side].dropped += n_bytes;
        log.push_back(Line(side, "drops " + std::to_string(handle)));
    }

    RlcConfig m_config;
    Agenda m_agenda;
    std::array<std::unique_ptr<RlcBearer>, 2> m_bearers;
    std::array<Side, 2> m_sides;
    std::vector<std::string> m_wakes;
};

} // namespace cosim::nr
