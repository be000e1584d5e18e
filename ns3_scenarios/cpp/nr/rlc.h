// SPDX-License-Identifier: GPL-2.0-only
//
// One direction of a data radio bearer: SDU queue, RLC UM or AM (38.322) and PDCP reordering (38.323 5.2.2), both ends.
#pragma once

#include "agenda.h"
#include "config.h"

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <vector>

namespace cosim::nr
{

/// When a TB was on the air. The MAC fills it in as it happens; RLC PDUs hold on to it.
struct AirTimes
{
    int64_t start_ns{0}; // of the first transmission
    int64_t end_ns{0};
    int64_t done_ns{0};  // end of the transmission that was decoded, or of the last one if none was
};

/// A UE's wait for uplink resources: from data that found none to the first PUSCH.
struct AccessCycle
{
    int64_t sr_end_ns{-1};     // the SR that was answered had been sent; -1: none (yet)
    int64_t pusch_start_ns{-1}; // -1: not yet
};

/// `count` SDUs that are missing whole, or of one the bytes [start, end) (38.322 6.2.2.5, NACK range and SO pair).
struct RlcNack
{
    static constexpr int64_t kSduEnd = std::numeric_limits<int64_t>::max();

    int64_t serial{0};
    int64_t count{1};
    int64_t start{0};
    int64_t end{kSduEnd};
};

/// What a MAC PDU carries of one bearer and direction: a whole SDU, a segment of one, or a status report.
struct RlcPdu
{
    bool status{false};
    int64_t serial{0};   // of the SDU, from 0
    int64_t offset{0};
    int64_t n_bytes{0};  // of the SDU (with its PDCP header), or of the report
    bool last{false};    // the SDU's last byte is in it
    bool poll{false};
    std::shared_ptr<AirTimes> first; // of the TB in which these bytes (the last of them) were sent first
    std::shared_ptr<AirTimes> air;   // of the TB that carries this PDU
    std::vector<RlcNack> nacks;      // status: what is missing, in order
    int64_t ack{0};                  // status: every serial below that is not in `nacks` has arrived
};

/// An SDU that leaves PDCP at the far end.
struct RlcArrival
{
    int64_t t_ns{0};
    uint64_t handle{0};
    int64_t n_bytes{0};
    AccessParts parts; // without what the stacks take
};

/// The bytes of `Fill` include RLC, PDCP and MAC headers. Status reports of this direction's receiver travel in the
/// other direction's bearer, to which `Join` ties it.
class RlcBearer
{
  public:
    using Deliver = std::function<void(const RlcArrival&)>;
    using GiveUp = std::function<void(uint64_t handle, int64_t n_bytes)>;
    /// The transmitter has something to send that no Enqueue has brought: a retransmission, a poll, a status. Otherwise
    /// PendingBytes grows in Enqueue and in Receive (of either direction) alone.
    using Wake = std::function<void()>;

    RlcBearer(const RlcConfig& config, Agenda& agenda, Deliver deliver, GiveUp give_up, Wake wake);
    ~RlcBearer();

    /// Join both directions of a bearer: status reports of each one's receiver go out in the other one. AM needs it.
    static void Join(RlcBearer& up, RlcBearer& down);

    /// At the transmitter; false if the buffer has no room. `cycle`: the wait for uplink resources that it joins, if any.
    bool Enqueue(int64_t now_ns, uint64_t handle, int64_t n_bytes, std::shared_ptr<AccessCycle> cycle);

    /// Bytes that want to be sent, headers included: status reports, retransmissions, new SDUs.
    int64_t PendingBytes() const;

    /// Bytes of SDUs of which nothing has been sent, and of those sent at least in part but neither delivered nor given
    /// up: enqueued == waiting + unsettled + delivered + given up.
    int64_t WaitingBytes() const;
    int64_t UnsettledBytes() const;

    /// Put PDUs into a TB that has room for `room_bytes`; returns the bytes used. Order: status, retransmissions, new.
    int64_t Fill(int64_t now_ns, int64_t room_bytes, const std::shared_ptr<AirTimes>& air, std::vector<RlcPdu>& pdus);

    /// At the receiver: a TB was decoded; it may deliver at once, in order of serial.
    void Receive(int64_t now_ns, const RlcPdu& pdu);

    /// HARQ has given up the TB with this PDU. In UM nothing brings it again, so that its SDU is given up now: the
    /// receiver might never hear that there was one.
    void Lose(const RlcPdu& pdu);

  private:
    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

} // namespace cosim::nr
