// SPDX-License-Identifier: GPL-2.0-only
#include "rlc_transmitter.h"

#include <algorithm>
#include <utility>

namespace cosim::nr
{

namespace
{

// pollPDU p64 and pollByte kB500 (38.331 RLC-Config), as OpenAirInterface's gNB configures them.
constexpr int64_t kPollPdu = 64;
constexpr int64_t kPollByte = 500'000;

constexpr int64_t kSegmentOffsetBytes = 2; // the SO field of a segment that is not the first (38.322 6.2.2.4)

/// AM_Window_Size (38.322 7.2): 2048 with a 12-bit SN, whose header has 2 bytes, and 131072 with an 18-bit SN.
int64_t
WindowOf(const RlcConfig& config)
{
    return config.rlc_bytes <= 2 ? 2048 : 131'072;
}

} // namespace

RlcTransmitter::RlcTransmitter(const RlcConfig& config, Agenda& agenda, Begin begin, Abandon abandon, Wake wake)
    : m_config(config),
      m_agenda(agenda),
      m_begin(std::move(begin)),
      m_abandon(std::move(abandon)),
      m_wake(std::move(wake)),
      m_poll_retransmit(agenda, [this] { ExpirePollRetransmit(); })
{
}

void
RlcTransmitter::Enqueue(int64_t n_bytes)
{
    Sdu sdu;
    sdu.n_bytes = n_bytes;
    m_sdus.Append(sdu);
    m_unsent_bytes += n_bytes;
}

int64_t
RlcTransmitter::PendingBytes() const
{
    const int64_t count = m_sdus.End() - m_next;
    if (count == 0 || WindowFull())
    {
        return m_retransmission_bytes;
    }
    return m_retransmission_bytes + m_unsent_bytes + (count - 1) * HeaderBytes(0) + HeaderBytes(m_offset);
}

int64_t
RlcTransmitter::Fill(int64_t now_ns,
                     int64_t room_bytes,
                     const std::shared_ptr<AirTimes>& air,
                     std::vector<RlcPdu>& pdus)
{
    const std::size_t before = pdus.size();
    int64_t used = FillRetransmissions(room_bytes, air, pdus);
    used += FillNew(room_bytes - used, air, pdus);
    if (m_config.acknowledged && pdus.size() > before)
    {
        // All PDUs of a TB arrive at once, so that a poll in the last one asks as early as in an earlier one.
        Poll(now_ns, pdus.back());
    }
    return used;
}

int64_t
RlcTransmitter::FillRetransmissions(int64_t room_bytes,
                                    const std::shared_ptr<AirTimes>& air,
                                    std::vector<RlcPdu>& pdus)
{
    int64_t used = 0;
    while (!m_parts.Empty())
    {
        Part& part = m_parts[m_parts.First()];
        if (!m_sdus.Holds(part.serial) || m_sdus[part.serial].settled)
        {
            m_parts.PopFront();
            continue;
        }
        const int64_t n_bytes = std::min(part.end - part.start, room_bytes - used - HeaderBytes(part.start));
        if (n_bytes < 1)
        {
            break;
        }
        Sdu& sdu = m_sdus[part.serial];
        RlcPdu& pdu = pdus.emplace_back();
        pdu.serial = part.serial;
        pdu.offset = part.start;
        pdu.n_bytes = n_bytes;
        pdu.last = part.start + n_bytes == sdu.n_bytes;
        pdu.first = FirstAir(sdu, part.start + n_bytes - 1);
        pdu.air = air;
        used += HeaderBytes(part.start) + n_bytes;

        int64_t cost_change = -CostOf(part);
        part.start += n_bytes;
        if (part.start < part.end)
        {
            cost_change += CostOf(part);
        }
        sdu.pending_bytes += cost_change;
        m_retransmission_bytes += cost_change;
        if (part.start == part.end)
        {
            m_parts.PopFront();
        }
    }
    return used;
}

int64_t
RlcTransmitter::FillNew(int64_t room_bytes, const std::shared_ptr<AirTimes>& air, std::vector<RlcPdu>& pdus)
{
    int64_t used = 0;
    while (m_next < m_sdus.End() && !WindowFull())
    {
        Sdu& sdu = m_sdus[m_next];
        const int64_t header = HeaderBytes(m_offset);
        const int64_t n_bytes = std::min(sdu.n_bytes - m_offset, room_bytes - used - header);
        if (n_bytes < 1)
        {
            break;
        }
        if (m_offset == 0)
        {
            m_begin(m_next);
        }
        RlcPdu& pdu = pdus.emplace_back();
        pdu.serial = m_next;
        pdu.offset = m_offset;
        pdu.n_bytes = n_bytes;
        pdu.last = m_offset + n_bytes == sdu.n_bytes;
        pdu.first = air;
        pdu.air = air;
        used += header + n_bytes;

        m_offset += n_bytes;
        m_unsent_bytes -= n_bytes;
        ++m_pdus_without_poll;
        m_bytes_without_poll += n_bytes;
        if (m_config.acknowledged)
        {
            sdu.first_piece = sdu.pieces++ == 0 ? m_pieces.End() : sdu.first_piece;
            m_pieces.Append(Piece{m_offset, air});
        }
        if (pdu.last)
        {
            ++m_next;
            m_offset = 0;
            if (!m_config.acknowledged)
            {
                m_sdus.PopFront();
            }
        }
    }
    return used;
}

/// 38.322 5.3.3.2 and 5.3.3.4.
void
RlcTransmitter::Poll(int64_t now_ns, RlcPdu& last)
{
    if (!m_poll_due && m_pdus_without_poll < kPollPdu && m_bytes_without_poll < kPollByte && !NothingToSend())
    {
        return;
    }
    last.poll = true;
    m_poll_due = false;
    m_pdus_without_poll = 0;
    m_bytes_without_poll = 0;
    m_poll_serial = m_offset > 0 ? m_next : m_next - 1;
    m_poll_retransmit.Start(now_ns + m_config.t_poll_retransmit_ns);
}

/// 38.322 5.3.3.4: the SDU with the highest SN tells the receiver most of what it lacks.
void
RlcTransmitter::ExpirePollRetransmit()
{
    m_poll_due = true;
    if (NothingToSend())
    {
        for (int64_t serial = m_offset > 0 ? m_next : m_next - 1; m_sdus.Holds(serial); --serial)
        {
            if (!m_sdus[serial].settled && CountRetransmission(m_agenda.NowNs(), serial))
            {
                Queue(serial, 0, SentBytes(serial));
                break;
            }
        }
    }
    if (PendingBytes() > 0)
    {
        m_wake();
    }
}

/// 38.322 5.3.3.3, 5.3.2.
void
RlcTransmitter::OnStatus(int64_t now_ns, const RlcPdu& status)
{
    if (m_poll_serial < status.ack)
    {
        m_poll_retransmit.Stop();
    }
    const bool could_send = PendingBytes() > 0;
    auto nack = status.nacks.begin();
    const int64_t end = std::min(status.ack, m_next);
    for (int64_t serial = m_sdus.First(); serial < end; ++serial)
    {
        while (nack != status.nacks.end() && nack->serial + nack->count <= serial)
        {
            ++nack;
        }
        if (nack == status.nacks.end() || nack->serial > serial)
        {
            Unqueue(m_sdus[serial]);
            m_sdus[serial].settled = true;
        }
    }
    ReleaseFront();
    int64_t counted = -1; // SDU whose parts are taken from this report
    int64_t refused = -1; // SDU that was waiting for its retransmission already, or has had its last
    for (const RlcNack& range : status.nacks)
    {
        for (int64_t serial = range.serial; serial < range.serial + range.count; ++serial)
        {
            if (serial == refused || !m_sdus.Holds(serial) || m_sdus[serial].settled ||
                SentBytes(serial) <= range.start)
            {
                continue;
            }
            if (serial != counted && (m_sdus[serial].pending_bytes > 0 || !CountRetransmission(now_ns, serial)))
            {
                refused = serial;
                continue;
            }
            counted = serial;
            Queue(serial, range.start, std::min(range.end, SentBytes(serial)));
        }
    }
    if (!could_send && PendingBytes() > 0)
    {
        m_wake();
    }
}

/// False if it was abandoned (38.322 5.3.2, RETX_COUNT).
bool
RlcTransmitter::CountRetransmission(int64_t now_ns, int64_t serial)
{
    if (m_sdus[serial].retransmissions == m_config.max_retransmissions)
    {
        GiveUp(now_ns, serial);
        return false;
    }
    ++m_sdus[serial].retransmissions;
    return true;
}

void
RlcTransmitter::Queue(int64_t serial, int64_t start, int64_t end)
{
    const Part part{serial, start, end};
    m_sdus[serial].pending_bytes += CostOf(part);
    m_retransmission_bytes += CostOf(part);
    m_parts.Append(part);
}

void
RlcTransmitter::Unqueue(Sdu& sdu)
{
    m_retransmission_bytes -= std::exchange(sdu.pending_bytes, 0);
}

/// The standard re-establishes the link here; the model goes on without the SDU.
void
RlcTransmitter::GiveUp(int64_t now_ns, int64_t serial)
{
    Unqueue(m_sdus[serial]);
    m_sdus[serial].settled = true;
    if (serial == m_next)
    {
        m_unsent_bytes -= m_sdus[serial].n_bytes - m_offset;
        ++m_next;
        m_offset = 0;
    }
    ReleaseFront();
    m_abandon(now_ns, serial);
}

void
RlcTransmitter::ReleaseFront()
{
    while (m_sdus.First() < m_next && m_sdus[m_sdus.First()].settled)
    {
        for (int32_t pieces = m_sdus.PopFront().pieces; pieces > 0; --pieces)
        {
            m_pieces.PopFront();
        }
    }
}

int64_t
RlcTransmitter::HeaderBytes(int64_t offset) const
{
    return m_config.mac_bytes + m_config.rlc_bytes + (offset > 0 ? kSegmentOffsetBytes : 0);
}

int64_t
RlcTransmitter::CostOf(const Part& part) const
{
    return HeaderBytes(part.start) + part.end - part.start;
}

int64_t
RlcTransmitter::SentBytes(int64_t serial) const
{
    return serial < m_next ? m_sdus[serial].n_bytes : serial == m_next ? m_offset : 0;
}

bool
RlcTransmitter::WindowFull() const
{
    return m_config.acknowledged && m_next - m_sdus.First() >= WindowOf(m_config);
}

/// Neither buffer holds anything that may be sent.
bool
RlcTransmitter::NothingToSend() const
{
    return m_retransmission_bytes == 0 && (m_next == m_sdus.End() || WindowFull());
}

/// Of the TB in which a byte was first sent.
const std::shared_ptr<AirTimes>&
RlcTransmitter::FirstAir(const Sdu& sdu, int64_t byte) const
{
    int64_t piece = sdu.first_piece;
    while (m_pieces[piece].end <= byte)
    {
        ++piece;
    }
    return m_pieces[piece].air;
}

} // namespace cosim::nr
