// SPDX-License-Identifier: GPL-2.0-only
//
// Delivery-rate samples as Linux takes them: draft-cheng-iccrg-delivery-rate-estimation-00, net/ipv4/tcp_rate.c.
//
// ns-3's TcpRateLinux differs in three ways that BBR feels: it asks whether the application limits the flow after the
// new message is in the buffer, so that a pause is never seen; it keeps one sample over many ACKs, so that segments sent
// between two ACKs count together over the interval of the first; and it takes the acknowledgement of a retransmission
// for a fresh loss.
#pragma once

#include "ns3/tcp-rate-ops.h"
#include "ns3/tcp-tx-buffer.h"

namespace cosim
{

class BbrRate : public ns3::TcpRateOps
{
  public:
    static ns3::TypeId GetTypeId();

    explicit BbrRate(ns3::Ptr<const ns3::TcpTxBuffer> buffer = nullptr);

    void SkbSent(ns3::TcpTxItem* segment, bool nothing_in_flight) override;
    void SkbDelivered(ns3::TcpTxItem* segment) override;

    /// To be asked before a message is put into the buffer. What ns-3 asks after it changes nothing.
    void CalculateAppLimited(uint32_t window,
                             uint32_t in_flight,
                             uint32_t segment_size,
                             const ns3::SequenceNumber32& tail,
                             const ns3::SequenceNumber32& next,
                             const uint32_t lost,
                             const uint32_t retransmitted) override;

    /// The sample of the ACK that was just processed. An interval of 0 marks one that says nothing about the rate.
    const TcpRateSample& GenerateSample(uint32_t delivered,
                                        uint32_t lost,
                                        bool is_sack_reneg,
                                        uint32_t in_flight_before,
                                        const ns3::Time& min_rtt) override;

    const TcpRateConnection& GetConnectionRate() override;

    /// What is out now, and what leaves before it has arrived, says nothing about the path's rate.
    void MarkAppLimited(uint32_t in_flight);

    bool AppLimited() const;

    /// Bytes, modulo 2^32.
    uint32_t Delivered() const;

    /// Losses declared by a timeout belong to no ACK.
    void LossesKnown();

    /// Of the segment of the last sample that left last, in us; negative if the ACK tells none.
    int64_t RttUs() const;

    /// Whether the receiver may have held back the ACK: it is for one short segment that travelled alone.
    bool AckMayBeDelayed(uint32_t segment_size) const;

  private:
    ns3::Ptr<const ns3::TcpTxBuffer> m_buffer;
    TcpRateConnection m_connection;
    TcpRateSample m_next;   // of the ACK being processed
    TcpRateSample m_sample; // of the last one
    int64_t m_next_rtt_us{-1};
    int64_t m_rtt_us{-1};
    uint32_t m_repaired{0}; // bytes of retransmissions that the ACK being processed acknowledges
    uint32_t m_lost{0};     // marked after the last ACK
};

} // namespace cosim
