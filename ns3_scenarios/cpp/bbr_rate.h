// SPDX-License-Identifier: GPL-2.0-only
//
// Delivery-rate samples as Linux takes them: draft-cheng-iccrg-delivery-rate-estimation-00, net/ipv4/tcp_rate.c.
//
// ns-3's TcpRateLinux differs in three ways that BBR feels: it asks whether the application limits the flow when the
// new message is in the buffer already, so that a pause is never seen; it keeps one sample over many ACKs, so that
// segments sent between two ACKs count together over the interval of the first; and the acknowledgement of a
// retransmission looks like a fresh loss.
#pragma once

#include "ns3/tcp-rate-ops.h"
#include "ns3/tcp-tx-buffer.h"

namespace cosim
{

/// What one ACK tells. Counts are segments.
struct BbrSample
{
    int64_t interval_us{0}; // 0: nothing about the rate
    uint64_t delivered{0};  // in the interval
    uint64_t prior_delivered{0}; // ever, when the newest of the acknowledged segments left
    bool app_limited{false};     // likewise
    bool nothing_out{false};     // no segment was unacknowledged
    uint64_t delivered_ever{0};
    uint32_t acked{0};
    uint32_t lost{0};
    uint32_t in_flight_before{0};
    int64_t rtt_us{-1};    // negative: none
    bool maybe_delayed{false}; // one short segment that travelled alone: its receiver may have held back the ACK
};

class BbrRate : public ns3::TcpRateOps
{
  public:
    static ns3::TypeId GetTypeId();

    /// For the segments of a socket's buffer.
    explicit BbrRate(ns3::Ptr<const ns3::TcpTxBuffer> buffer = nullptr, uint32_t segment_size = 1);

    void SkbSent(ns3::TcpTxItem* segment, bool nothing_in_flight) override;
    void SkbDelivered(ns3::TcpTxItem* segment) override;

    /// Nothing: ns-3 asks when the message is in the buffer already.
    void CalculateAppLimited(uint32_t window,
                             uint32_t in_flight,
                             uint32_t segment_size,
                             const ns3::SequenceNumber32& tail,
                             const ns3::SequenceNumber32& next,
                             const uint32_t lost,
                             const uint32_t retransmitted) override;

    /// A message is about to be put into the buffer, of which all below `next` has left; the window is not full.
    /// Linux: tcp_rate_check_app_limited().
    void ApplicationWrites(const ns3::SequenceNumber32& next, uint32_t in_flight_bytes);

    /// Completes Sample(); what it returns is empty.
    const TcpRateSample& GenerateSample(uint32_t acked,
                                        uint32_t lost,
                                        bool is_sack_reneg,
                                        uint32_t in_flight_before,
                                        const ns3::Time& min_rtt) override;

    /// Only the bytes delivered are filled in: ns-3's socket counts by them.
    const TcpRateConnection& GetConnectionRate() override;

    /// Of the last ACK.
    const BbrSample& Sample() const;

    /// What is out now, and what leaves before it has arrived, says nothing about the path's rate.
    void MarkAppLimited(uint32_t in_flight_bytes);

    bool AppLimited() const;

    /// Losses declared by a timeout belong to no ACK.
    void LossesKnown();

    /// Rounded up.
    uint32_t Segments(uint32_t n_bytes) const;

  private:
    ns3::Ptr<const ns3::TcpTxBuffer> m_buffer;
    uint32_t m_segment_size;
    TcpRateConnection m_connection;
    TcpRateSample m_unused;

    uint64_t m_delivered{0}; // segments
    ns3::Time m_delivered_time;
    ns3::Time m_first_sent;
    uint64_t m_app_limited{0}; // until more than this is delivered; 0: not

    BbrSample m_sample;      // of the last ACK
    BbrSample m_coming;      // of the ACK being processed
    bool m_timed{false};     // m_coming has an interval
    uint32_t m_acked_bytes{0};
    uint32_t m_repaired_bytes{0}; // retransmissions that the ACK being processed acknowledges
    uint32_t m_lost_bytes{0};     // marked lost after the last ACK
};

} // namespace cosim
