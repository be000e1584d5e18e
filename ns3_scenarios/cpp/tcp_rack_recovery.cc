// SPDX-License-Identifier: GPL-2.0-only
//
// What an acknowledgement changes: tcp_ack() and what it calls.
#include "tcp_rack.h"

#include "ns3/simulator.h"
#include "ns3/tcp-congestion-ops.h"
#include "ns3/tcp-option-sack.h"
#include "ns3/tcp-tx-buffer.h"

#include <algorithm>

namespace cosim
{

using namespace ns3;

namespace
{

constexpr uint32_t kReordering = 3;                  // Linux: tcp_reordering
constexpr int64_t kTimeoutMinNs = 8'000'000;         // Linux: TCP_TIMEOUT_MIN at HZ=250

int64_t
Now()
{
    return Simulator::Now().GetNanoSeconds();
}

SentSegments::Blocks
SackBlocks(const TcpHeader& header)
{
    SentSegments::Blocks blocks;
    if (header.HasOption(TcpOption::SACK))
    {
        const auto option = DynamicCast<const TcpOptionSack>(header.GetOption(TcpOption::SACK));
        for (const auto& [begin, end] : option->GetSackList())
        {
            blocks.emplace_back(begin, end);
        }
    }
    return blocks;
}

} // namespace

void
TcpRack::ReceivedAck(Ptr<Packet> packet, const TcpHeader& header)
{
    const bool has_data = packet->GetSize() > 0;
    if (header.GetAckNumber() >= m_txBuffer->HeadSequence())
    {
        TakeAck(header, has_data);
    }
    if (has_data)
    {
        ReceivedData(packet, header);
    }
    Transmit();
    CloseOnceEmpty();
}

void
TcpRack::TakeAck(const TcpHeader& header, bool has_data)
{
    const SequenceNumber32 ack = header.GetAckNumber();
    const bool advanced = ack > m_txBuffer->HeadSequence();
    const bool window_update = m_rWnd != m_last_window;
    m_last_window = m_rWnd;
    if (m_sent.Empty() && !advanced)
    {
        return;
    }
    const uint32_t lost_before = m_sent.Lost();
    const Progress progress = m_sent.Acknowledge(ack, SackBlocks(header), m_high, Now());
    m_tcb->m_lastAckedSeq = ack;
    if (advanced)
    {
        m_txBuffer->DiscardUpTo(ack);
        m_first_timeout_ns = 0;
        NewAck(ack, false);
    }
    if (TakeRtt(progress))
    {
        m_congestionControl->PktsAcked(m_tcb, progress.segments, m_tcb->m_srtt);
    }
    const bool duplicate = !has_data && !window_update && !advanced && !progress.newly_sacked;
    if (m_probing)
    {
        ProcessProbe(ack, duplicate);
    }
    Repeat repeat = Repeat::kNone;
    if (progress.newly_sacked || duplicate || m_tcb->m_congState != TcpSocketState::CA_OPEN)
    {
        repeat = UpdateState(header, progress, advanced);
    }
    const bool reordering = m_timer == Timer::kReorder && m_reordering_armed_ns == Now();
    if (progress.segments > 0 && !reordering && !ArmProbe(true))
    {
        ArmRetransmit();
    }
    if (Reducing())
    {
        Reduce(progress.delivered, advanced, m_sent.Lost() > lost_before);
    }
    else if (progress.segments > 0)
    {
        m_congestionControl->IncreaseWindow(m_tcb, progress.delivered);
        m_tcb->m_cWndInfl = m_tcb->m_cWnd.Get();
    }
    if (repeat == Repeat::kNew)
    {
        Transmit();
        if (m_tcb->m_nextTxSequence > m_high)
        {
            return;
        }
        m_frto = false;
    }
    if (repeat != Repeat::kNone)
    {
        ResendLost();
    }
}

/// tcp_ack_update_rtt(): whether there is a sample for the congestion control.
bool
TcpRack::TakeRtt(const Progress& progress)
{
    int64_t rtt = -1;
    int64_t latest = -1;
    if (progress.first_sent_ns >= 0 && !progress.resent_acknowledged)
    {
        rtt = Now() - progress.first_sent_ns;
        latest = Now() - progress.last_sent_ns;
    }
    if (progress.first_sacked_ns >= 0)
    {
        rtt = rtt < 0 ? Now() - progress.first_sacked_ns : rtt;
        latest = Now() - progress.last_sacked_ns;
    }
    if (rtt < 0 && progress.resent_acknowledged)
    {
        // By the timestamp option, which tells the copy.
        rtt = latest = Now() - progress.latest_resent_ns;
    }
    if (rtt < 0)
    {
        return false;
    }
    m_sent.SampleMinRtt(latest);
    m_rtt_linux.Sample(rtt, m_txBuffer->HeadSequence(), m_tcb->m_nextTxSequence);
    m_backoff = 0;
    m_tcb->m_lastRtt = NanoSeconds(latest);
    m_tcb->m_srtt = NanoSeconds(m_rtt_linux.SmoothedNs());
    m_tcb->m_minRtt = NanoSeconds(m_sent.MinRttNs());
    return true;
}

/// tcp_process_tlp_ack().
void
TcpRack::ProcessProbe(SequenceNumber32 ack, bool duplicate)
{
    if (ack < m_probe_end)
    {
        return;
    }
    if (!m_probe_resent || duplicate)
    {
        m_probing = false; // new data came through, or both copies did
    }
    else if (ack > m_probe_end)
    {
        // The probe mended a loss, and nothing else told of it.
        BeginReduction();
        SetState(TcpSocketState::CA_CWR);
        EndReduction();
        KeepOpen();
    }
}

/// tcp_fastretrans_alert().
TcpRack::Repeat
TcpRack::UpdateState(const TcpHeader& header, const Progress& progress, bool advanced)
{
    const SequenceNumber32 unacknowledged = m_txBuffer->HeadSequence();
    const auto state = [this] { return m_tcb->m_congState.Get(); };
    if (state() == TcpSocketState::CA_OPEN)
    {
        m_first_resent_ts = 0;
    }
    else if (unacknowledged >= m_high)
    {
        if (state() == TcpSocketState::CA_CWR && unacknowledged != m_high)
        {
            EndReduction();
            SetState(TcpSocketState::CA_OPEN);
        }
        else if (state() == TcpSocketState::CA_RECOVERY)
        {
            EndEpisode(header);
            EndReduction();
        }
    }
    if (state() == TcpSocketState::CA_LOSS)
    {
        const Repeat repeat = UpdateLoss(header, progress, advanced);
        DetectLoss();
        if (state() != TcpSocketState::CA_OPEN)
        {
            return repeat;
        }
    }
    else
    {
        DetectLoss();
    }
    if (state() == TcpSocketState::CA_RECOVERY)
    {
        return Repeat::kLost;
    }
    if (m_sent.Lost() == 0)
    {
        if (state() != TcpSocketState::CA_CWR)
        {
            KeepOpen();
        }
        return Repeat::kNone;
    }
    EnterRecovery();
    return Repeat::kLost;
}

/// tcp_process_loss(): after an RTO.
TcpRack::Repeat
TcpRack::UpdateLoss(const TcpHeader& header, const Progress& progress, bool advanced)
{
    const bool recovered = m_txBuffer->HeadSequence() >= m_high;
    if (advanced && IsSpurious(header))
    {
        Undo(true);
        SetState(TcpSocketState::CA_OPEN);
        return Repeat::kLost;
    }
    if (m_frto)
    {
        // RFC 5682 3.1: what was never sent again has arrived, so the RTO was spurious.
        if (progress.original_delivered && m_undo)
        {
            Undo(true);
            SetState(TcpSocketState::CA_OPEN);
            m_frto = false;
            return Repeat::kLost;
        }
        if (m_tcb->m_nextTxSequence > m_high)
        {
            m_frto = m_frto && !progress.newly_sacked;
        }
        else if (advanced && !recovered)
        {
            m_high = m_tcb->m_nextTxSequence;
            if (MaySend())
            {
                return Repeat::kNew;
            }
            m_frto = false;
        }
    }
    if (recovered)
    {
        EndEpisode(header);
        return Repeat::kNone;
    }
    return Repeat::kLost;
}

/// tcp_try_undo_recovery().
void
TcpRack::EndEpisode(const TcpHeader& header)
{
    if (IsSpurious(header))
    {
        Undo(false);
    }
    SetState(TcpSocketState::CA_OPEN);
}

/// tcp_rack_mark_lost().
void
TcpRack::DetectLoss()
{
    if (!m_sent.TakeAdvanced() || m_sent.Empty())
    {
        return;
    }
    if (const int64_t again = m_sent.DetectLoss(Now(), ReorderingWindowNs()); again > 0)
    {
        Arm(Timer::kReorder, again + kTimeoutMinNs);
        m_reordering_armed_ns = Now();
    }
}

/// tcp_rack_reo_wnd(); no reordering is ever seen.
int64_t
TcpRack::ReorderingWindowNs() const
{
    if (m_tcb->m_congState >= TcpSocketState::CA_RECOVERY || m_sent.Sacked() >= kReordering)
    {
        return 0;
    }
    return std::min(m_sent.MinRttNs() / 4, m_rtt_linux.SmoothedNs() / 8);
}

/// tcp_enter_recovery().
void
TcpRack::EnterRecovery()
{
    m_undo = true;
    m_prior_threshold = 0;
    if (!Reducing())
    {
        KeepThreshold();
        m_prior_threshold = m_tcb->m_ssThresh;
        BeginReduction();
    }
    SetState(TcpSocketState::CA_RECOVERY);
}

/// tcp_enter_loss().
void
TcpRack::EnterLoss()
{
    const auto state = m_tcb->m_congState.Get();
    const bool again = state == TcpSocketState::CA_LOSS && m_backoff > 0;
    const bool fresh = state < TcpSocketState::CA_RECOVERY;
    m_sent.MarkTimedOut(Now());
    if (state <= TcpSocketState::CA_DISORDER || m_high <= m_txBuffer->HeadSequence() ||
        (state == TcpSocketState::CA_LOSS && !again))
    {
        KeepThreshold();
        m_prior_threshold = m_tcb->m_ssThresh;
        m_prior_window = WindowSegments();
        m_tcb->m_ssThresh = m_congestionControl->GetSsThresh(m_tcb, BytesInFlight());
        m_undo = true;
    }
    SetWindow(m_sent.InFlight() + 1);
    SetState(TcpSocketState::CA_LOSS);
    m_high = m_tcb->m_nextTxSequence;
    m_probing = false;
    m_frto = fresh || again;
}

/// tcp_try_keep_open().
void
TcpRack::KeepOpen()
{
    const auto state = m_sent.Sacked() + m_sent.Lost() + m_sent.ResentOut() > 0 ? TcpSocketState::CA_DISORDER
                                                                                : TcpSocketState::CA_OPEN;
    if (m_tcb->m_congState != state)
    {
        SetState(state);
        m_high = m_tcb->m_nextTxSequence;
    }
}

void
TcpRack::SetState(TcpSocketState::TcpCongState_t state)
{
    m_congestionControl->CongestionStateSet(m_tcb, state);
    m_tcb->m_congState = state;
}

} // namespace cosim
