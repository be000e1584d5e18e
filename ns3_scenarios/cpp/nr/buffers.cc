// SPDX-License-Identifier: GPL-2.0-only
#include "buffers.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace cosim::nr
{

Buffers::Buffers(const CellConfig& config, Agenda& agenda, RadioKpis& kpis, Mac mac)
    : m_config(config),
      m_agenda(agenda),
      m_kpis(kpis),
      m_mac(std::move(mac)),
      m_by_priority(config.bearers.size()),
      m_ues(config.ues.size())
{
    std::iota(m_by_priority.begin(), m_by_priority.end(), 0);
    std::stable_sort(m_by_priority.begin(), m_by_priority.end(), [&config](int32_t a, int32_t b) {
        return config.bearers[static_cast<size_t>(a)].priority < config.bearers[static_cast<size_t>(b)].priority;
    });
    for (size_t i = 0; i < config.ues.size(); ++i)
    {
        const UeConfig& ue = config.ues[i];
        for (Direction* direction : {&m_ues[i].up, &m_ues[i].down})
        {
            direction->pending_bytes.resize(config.bearers.size());
            direction->stack_bytes.resize(config.bearers.size());
        }
        if (ue.background)
        {
            const std::string stream = "nr/" + ue.name;
            const int64_t buffer_bytes = config.rlc.buffer_bytes;
            m_ues[i].up.traffic = std::make_unique<TrafficSource>(stream + "/ul-traffic", config.seed, buffer_bytes);
            m_ues[i].down.traffic = std::make_unique<TrafficSource>(stream + "/dl-traffic", config.seed, buffer_bytes);
        }
        else
        {
            MakeBearers(static_cast<int32_t>(i));
        }
    }
}

void
Buffers::MakeBearers(int32_t ue)
{
    for (size_t bearer = 0; bearer < m_config.bearers.size(); ++bearer)
    {
        for (const bool up : {true, false})
        {
            Direction& direction = Of(ue, up);
            direction.bearers.push_back(std::make_unique<RlcBearer>(
                m_config.rlc,
                m_agenda,
                [this, ue, up](const RlcArrival& arrival) { Leave(ue, up, arrival); },
                [this, ue, up](uint64_t handle, int64_t n_bytes) { GiveUp(ue, up, handle, n_bytes); },
                [this, ue, up, &direction] {
                    direction.looked = false;
                    m_mac.wake(m_agenda.NowNs(), ue, up);
                }));
        }
        RlcBearer::Join(*Of(ue, true).bearers.back(), *Of(ue, false).bearers.back());
    }
}

Buffers::Direction&
Buffers::Of(int32_t ue, bool up)
{
    Ue& of = m_ues.at(static_cast<size_t>(ue));
    return up ? of.up : of.down;
}

bool
Buffers::Enqueue(int64_t now_ns, int32_t ue, bool up, int32_t bearer, int64_t n_bytes, uint64_t handle)
{
    Direction& direction = Of(ue, up);
    RlcBearer& rlc = *direction.bearers.at(static_cast<size_t>(bearer));
    int64_t& stack_bytes = direction.stack_bytes[static_cast<size_t>(bearer)];
    direction.account.sent += n_bytes;
    const int64_t stack_ns = up ? m_config.timing.ue_stack_ns : m_config.timing.gnb_stack_ns;
    const Packet packet{ue, up, bearer, n_bytes, handle};
    // What is in the stack already has a place in the buffer.
    const bool room = rlc.WaitingBytes() + stack_bytes + n_bytes + m_config.rlc.pdcp_bytes <= m_config.rlc.buffer_bytes;
    if (room && stack_ns > 0)
    {
        stack_bytes += n_bytes + m_config.rlc.pdcp_bytes;
        m_agenda.At(now_ns + stack_ns, [this, packet] {
            Of(packet.ue, packet.up).stack_bytes[static_cast<size_t>(packet.bearer)] -=
                packet.n_bytes + m_config.rlc.pdcp_bytes;
            if (!Push(m_agenda.NowNs(), packet))
            {
                GiveUp(packet.ue, packet.up, packet.handle, packet.n_bytes);
            }
        });
    }
    else if (!room || !Push(now_ns, packet))
    {
        direction.account.dropped += n_bytes;
        ++direction.account.dropped_packets;
        m_kpis.Dropped(now_ns, ue, up);
        return false;
    }
    direction.account.waiting += n_bytes;
    return true;
}

bool
Buffers::Push(int64_t now_ns, const Packet& packet)
{
    Direction& direction = Of(packet.ue, packet.up);
    RlcBearer& rlc = *direction.bearers[static_cast<size_t>(packet.bearer)];
    const auto cycle = packet.up ? m_mac.join(now_ns, packet.ue) : nullptr;
    if (!rlc.Enqueue(now_ns, packet.handle, packet.n_bytes, cycle))
    {
        return false;
    }
    direction.looked = false;
    TellQueue(now_ns, packet.ue, packet.up);
    m_mac.wake(now_ns, packet.ue, packet.up);
    return true;
}

void
Buffers::Leave(int32_t ue, bool up, const RlcArrival& arrival)
{
    const TimingConfig& timing = m_config.timing;
    const int64_t stack_ns = up ? timing.gnb_stack_ns : timing.ue_stack_ns;
    Arrival left{.t_ns = arrival.t_ns + stack_ns, .handle = arrival.handle, .parts = arrival.parts};
    left.parts.processing_ns += timing.ue_stack_ns + timing.gnb_stack_ns;
    const auto leave = [this, ue, up, left, n_bytes = arrival.n_bytes] {
        PacketBytes& account = Of(ue, up).account;
        account.delivered += n_bytes;
        account.waiting -= n_bytes;
        m_kpis.Delivered(left.t_ns, ue, up, n_bytes);
        m_arrivals.push_back(left);
    };
    if (stack_ns > 0)
    {
        m_agenda.At(left.t_ns, leave);
    }
    else
    {
        leave();
    }
}

void
Buffers::GiveUp(int32_t ue, bool up, uint64_t handle, int64_t n_bytes)
{
    Direction& direction = Of(ue, up);
    direction.looked = false;
    direction.account.waiting -= n_bytes;
    direction.account.dropped += n_bytes;
    ++direction.account.dropped_packets;
    m_kpis.Dropped(m_agenda.NowNs(), ue, up);
    m_dropped.push_back(handle);
}

PacketBytes
Buffers::Account(int32_t ue, bool up) const
{
    const Ue& of = m_ues[static_cast<size_t>(ue)];
    return (up ? of.up : of.down).account;
}

std::vector<Arrival>
Buffers::TakeArrivals()
{
    return std::exchange(m_arrivals, {});
}

std::vector<uint64_t>
Buffers::TakeDropped()
{
    return std::exchange(m_dropped, {});
}

void
Buffers::SetTraffic(int64_t now_ns, int32_t ue, bool up, bool present, const TrafficConfig& traffic)
{
    Of(ue, up).traffic->Set(now_ns, present, traffic);
    AwaitTraffic(now_ns, ue, up);
}

void
Buffers::AwaitTraffic(int64_t now_ns, int32_t ue, bool up)
{
    Direction& direction = Of(ue, up);
    if (direction.traffic->AvailableBytes(now_ns) > 0)
    {
        m_mac.wake(now_ns, ue, up);
    }
    else if (const int64_t next_ns = direction.traffic->NextNs(); next_ns != kNever && next_ns != direction.awaited_ns)
    {
        direction.awaited_ns = next_ns;
        m_agenda.At(next_ns, [this, ue, up] { AwaitTraffic(m_agenda.NowNs(), ue, up); });
    }
}

const std::vector<int64_t>&
Buffers::Pending(int64_t now_ns, int32_t ue, bool up)
{
    Direction& direction = Of(ue, up);
    if (direction.traffic)
    {
        const int64_t n_bytes = direction.traffic->AvailableBytes(now_ns);
        int64_t& pending_bytes = direction.pending_bytes[static_cast<size_t>(m_by_priority.back())];
        pending_bytes = n_bytes > 0 ? n_bytes + m_config.rlc.mac_bytes : 0;
    }
    else if (!direction.looked)
    {
        for (size_t bearer = 0; bearer < direction.bearers.size(); ++bearer)
        {
            direction.pending_bytes[bearer] = direction.bearers[bearer]->PendingBytes();
        }
        direction.looked = true;
    }
    return direction.pending_bytes;
}

bool
Buffers::Any(int64_t now_ns, int32_t ue, bool up)
{
    const std::vector<int64_t>& pending = Pending(now_ns, ue, up);
    return std::any_of(pending.begin(), pending.end(), [](int64_t n_bytes) { return n_bytes > 0; });
}

bool
Buffers::Fill(int64_t now_ns, TransportBlock& block, int64_t room_bytes)
{
    Direction& direction = Of(block.ue, block.up);
    if (direction.traffic)
    {
        room_bytes -= m_config.rlc.mac_bytes;
        block.traffic_bytes = room_bytes > 0 ? direction.traffic->Take(now_ns, room_bytes) : 0;
        TellQueue(now_ns, block.ue, block.up);
        AwaitTraffic(now_ns, block.ue, block.up);
        return block.traffic_bytes > 0;
    }
    const std::vector<int64_t>& pending = Pending(now_ns, block.ue, block.up);
    for (const int32_t bearer : m_by_priority)
    {
        if (pending[static_cast<size_t>(bearer)] > 0 && room_bytes > 0)
        {
            RlcBearer& rlc = *direction.bearers[static_cast<size_t>(bearer)];
            room_bytes -= rlc.Fill(now_ns, room_bytes, block.air, block.pdus);
            block.runs.push_back(PduRun{bearer, block.pdus.size()});
        }
    }
    direction.looked = false;
    TellQueue(now_ns, block.ue, block.up);
    return !block.pdus.empty();
}

void
Buffers::Receive(int64_t now_ns, const TransportBlock& block)
{
    Direction& direction = Of(block.ue, block.up);
    if (direction.traffic)
    {
        direction.account.sent += block.traffic_bytes;
        direction.account.delivered += block.traffic_bytes;
        m_kpis.Delivered(now_ns, block.ue, block.up, block.traffic_bytes);
        return;
    }
    size_t pdu = 0;
    for (const PduRun& run : block.runs)
    {
        for (; pdu < run.end; ++pdu)
        {
            direction.bearers[static_cast<size_t>(run.bearer)]->Receive(now_ns, block.pdus[pdu]);
        }
    }
    // Statuses change what both directions have to send.
    Of(block.ue, true).looked = false;
    Of(block.ue, false).looked = false;
}

void
Buffers::Lose(const TransportBlock& block)
{
    const Direction& direction = Of(block.ue, block.up);
    size_t pdu = 0;
    for (const PduRun& run : block.runs)
    {
        for (; pdu < run.end; ++pdu)
        {
            direction.bearers[static_cast<size_t>(run.bearer)]->Lose(block.pdus[pdu]);
        }
    }
}

void
Buffers::TellQueue(int64_t now_ns, int32_t ue, bool up)
{
    Direction& direction = Of(ue, up);
    int64_t waiting_bytes = 0;
    for (const auto& rlc : direction.bearers)
    {
        waiting_bytes += rlc->WaitingBytes();
    }
    if (direction.traffic)
    {
        const int64_t available_bytes = direction.traffic->AvailableBytes(now_ns);
        waiting_bytes = available_bytes < kFullBufferBytes ? available_bytes : 0;
        if (const int64_t dropped = direction.traffic->TakeDropped(); dropped > 0)
        {
            m_kpis.Dropped(now_ns, ue, up, dropped);
        }
    }
    m_kpis.Queue(now_ns, ue, up, waiting_bytes);
}

} // namespace cosim::nr
