// SPDX-License-Identifier: GPL-2.0-only
//
// Linux's sender: what may leave and when, and how loss is found and mended.
#pragma once

#include "rtt_linux.h"
#include "sent_segments.h"
#include "tcp_linux.h"

namespace cosim
{

class CubicLinux;

/// ns-3 finds loss by three duplicate acknowledgements or by the RTO alone, and repeats segment by segment. Linux, and
/// this class, finds it by RACK and by tail loss probes (RFC 8985), mends it with proportional rate reduction (RFC
/// 6937) and undoes what was spurious (F-RTO, RFC 5682, and Eifel, RFC 3522). The functions named in the comments are
/// those of net/ipv4/tcp_input.c, tcp_output.c, tcp_timer.c and tcp_recovery.c.
/// Not modelled: DSACK, the growth of the reordering window (packets of a path never overtake), TCP small queues.
class TcpRack : public TcpLinux
{
  public:
    static ns3::TypeId GetTypeId();
    ns3::TypeId GetInstanceTypeId() const override;

    TcpRack() = default;
    TcpRack(const TcpRack& other);
    ~TcpRack() override;

    int Send(ns3::Ptr<ns3::Packet> packet, uint32_t flags) override;

  protected:
    ns3::Ptr<ns3::TcpSocketBase> Fork() override;
    void ReceivedAck(ns3::Ptr<ns3::Packet> packet, const ns3::TcpHeader& header) override;
    void EstimateRtt(const ns3::TcpHeader& header) override;
    void UpdateRttHistory(const ns3::SequenceNumber32& seq, uint32_t size, bool is_retransmission) override;
    uint32_t BytesInFlight() const override;
    uint32_t AvailableWindow() const override;
    void ReTxTimeout() override;
    void FindControl() override;

  private:
    enum class Timer
    {
        kNone,
        kRetransmit,
        kProbe,
        kReorder
    };

    // tcp_rack.cc: what may leave.
    void Transmit();
    bool MaySend() const;
    bool SendNext();
    void Resend(SentSegments::Segment& segment);
    void ResendLost();

    // tcp_rack_timers.cc
    int64_t TimeoutNs() const;
    void Arm(Timer timer, int64_t delay_ns);
    void ArmRetransmit();
    bool ArmProbe(bool advancing);
    void TimerExpires();
    void Probe();
    void TimeOut();
    void ReorderingEnds();

    // tcp_rack_window.cc
    uint32_t WindowSegments() const;
    void SetWindow(uint32_t segments);
    void RestartAfterIdle();
    void ValidateWindow();
    void LimitByApplication(uint32_t segments_out);
    void KeepThreshold();
    void BeginReduction();
    void Reduce(uint32_t delivered, bool advanced, bool newly_lost);
    void EndReduction();
    bool Reducing() const;
    bool IsSpurious(const ns3::TcpHeader& header) const;
    void Undo(bool unmark);

    // tcp_rack_recovery.cc: what an acknowledgement changes.
    /// What may be sent because of it.
    enum class Repeat
    {
        kNone,
        kLost,
        kNew // F-RTO: new data before anything is sent again
    };

    void TakeAck(const ns3::TcpHeader& header, bool has_data);
    bool TakeRtt(const Progress& progress);
    void ProcessProbe(ns3::SequenceNumber32 ack, bool duplicate);
    Repeat UpdateState(const ns3::TcpHeader& header, const Progress& progress, bool advanced);
    Repeat UpdateLoss(const ns3::TcpHeader& header, const Progress& progress, bool advanced);
    void DetectLoss();
    int64_t ReorderingWindowNs() const;
    void EnterRecovery();
    void EnterLoss();
    void EndEpisode(const ns3::TcpHeader& header);
    void KeepOpen();
    void SetState(ns3::TcpSocketState::TcpCongState_t state);

    CubicLinux* m_cubic{nullptr}; // owned by m_congestionControl
    SentSegments m_sent;
    RttLinux m_rtt_linux;
    uint32_t m_last_window{0};             // advertised by the peer
    bool m_sent_data{false};
    int64_t m_last_data_ns{0};
    ns3::EventId m_transmission;

    // One timer, whose event may come early: it then waits for the rest.
    Timer m_timer{Timer::kNone};
    int64_t m_deadline_ns{0};
    ns3::EventId m_expiry;
    int64_t m_reordering_armed_ns{-1};
    uint32_t m_backoff{0};
    int64_t m_first_timeout_ns{0};

    // Recovery.
    ns3::SequenceNumber32 m_high{0};       // Linux: high_seq
    uint32_t m_prior_window{0};            // segments, before the reduction
    uint32_t m_prior_threshold{0};         // bytes; 0: nothing to undo
    bool m_undo{false};                    // Linux: undo_marker
    uint32_t m_prr_delivered{0};
    uint32_t m_prr_out{0};
    bool m_frto{false};
    uint32_t m_first_resent_ts{0};         // of the timestamp option, in ms; 0: nothing sent again

    // Tail loss probe.
    bool m_probing{false};
    bool m_probe_resent{false};
    ns3::SequenceNumber32 m_probe_end{0};

    // tcp_cwnd_validate().
    bool m_limited{false};
    uint32_t m_max_segments_out{0};
    ns3::SequenceNumber32 m_usage_end{0};
    uint32_t m_window_used{0};
    int64_t m_window_stamp_ns{0};
};

} // namespace cosim
