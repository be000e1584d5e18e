// SPDX-License-Identifier: GPL-2.0-only
//
// HARQ (38.321 5.3.2, 5.4.2): TBs in processes, their transmissions, and which of them wait for another one.
#pragma once

#include "../random_stream.h"
#include "config.h"
#include "frame.h"
#include "rlc.h"
#include "scheduler.h"

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

namespace cosim::nr
{

inline constexpr int32_t kLcgs = 8;

/// Bytes that wait by logical channel group (38.321 5.4.5).
using LcgBytes = std::array<int64_t, kLcgs>;

int64_t SumOf(const LcgBytes& bytes);

/// Bytes of the BSR in a MAC PDU with its subheader (38.321 6.1.3.1): short for one LCG, else long.
int64_t BsrBytes(const LcgBytes& waiting, const RlcConfig& rlc);

/// PDUs of one bearer in a MAC PDU, up to an index.
struct PduRun
{
    int32_t bearer;
    size_t end;
};

/// What is known of a TB beside its content.
struct TransportBlockState
{
    int32_t ue{0};
    bool up{true};
    int32_t process{0};
    Allocation allocation; // of the latest transmission
    int32_t priority{0};
    int64_t slot{0};
    int64_t start_ns{0};
    int64_t end_ns{0};
    int64_t n_bytes{0};
    int32_t round{0};         // transmissions so far
    int64_t transmission{-1}; // number of the latest among all of the cell
    bool heard{false};        // a transmission has been received, decoded or not
    double sinr_db{0};        // of all that have been
    bool judged{false};       // whether `decoded` is that of the latest transmission
    bool decoded{false};
    bool interrupted{false};
    int64_t traffic_bytes{0}; // of a background UE
    // Downlink:
    bool received{false};     // the UE has handed it up
    bool acknowledged{false}; // the gNB has heard of it
    // Uplink:
    int64_t serial{-1};     // of the MAC PDU, in order of building; -1: not built yet
    bool configured{false}; // no DCI
    bool has_bsr{false};
    LcgBytes bsr{};
};

struct TransportBlock : TransportBlockState
{
    std::shared_ptr<AirTimes> air; // none of a background UE
    std::vector<RlcPdu> pdus;
    std::vector<PduRun> runs; // of the PDUs, in order
};

/// The TBs of all UEs and both directions, by index. An index is valid until Release.
class Harq
{
  public:
    Harq(const CellConfig& config);

    /// Whether a UE's direction has a process left.
    bool HasFree(int32_t ue, bool up) const;

    /// A new TB with a process of its own. The UE has one left.
    int32_t New(int32_t ue, bool up, const Allocation& allocation);
    void Release(int32_t index);

    TransportBlock& operator[](int32_t index)
    {
        return m_blocks[static_cast<size_t>(index)];
    }

    int32_t Of(int32_t ue, bool up, int32_t process) const;

    /// Start another transmission, which cannot begin before its slot.
    void Transmit(int32_t index, int64_t slot, const Allocation& allocation, const Frame& frame);

    /// Decode or not, once per transmission: a draw against the BLER at the SINR of all transmissions together.
    void Judge(int32_t index, double sinr_db, bool granted);
    void SetLink(const LinkAdaptationConfig& link)
    {
        m_link = link;
    }

    bool MayTransmitAgain(const TransportBlock& block) const
    {
        return block.round < m_config.max_transmissions;
    }

    /// TBs that wait for a retransmission, in order of failing.
    std::vector<int32_t>& Waiting(bool up)
    {
        return m_waiting[up ? 0 : 1];
    }

    /// Every TB of a UE that is on the air at an instant, or will be, by what is decided so far.
    void Interrupt(int32_t ue, int64_t now_ns);

    /// TBs of a UE and direction that have a process.
    int32_t InFlight(int32_t ue, bool up) const
    {
        return m_in_flight[Entity(ue, up)];
    }

  private:
    static size_t Entity(int32_t ue, bool up)
    {
        return 2 * static_cast<size_t>(ue) + (up ? 0 : 1);
    }

    /// BLER of the latest transmission of a UE and direction: the next is often like it.
    struct Bler
    {
        double sinr_db{0};
        int32_t mcs{-1};
        int64_t n_bytes{0};
        double bler{0};
    };

    HarqConfig m_config;
    LinkAdaptationConfig m_link;
    int32_t m_ul_mcs_table;
    int32_t m_dl_mcs_table;
    std::vector<bool> m_background;
    int64_t m_transmissions{0};
    std::deque<TransportBlock> m_blocks;
    std::vector<int32_t> m_free;
    std::vector<int32_t> m_of; // [entity][process], -1: free
    std::vector<int32_t> m_in_flight;
    std::vector<RandomStream> m_draws;
    std::vector<Bler> m_blers;
    std::array<std::vector<int32_t>, 2> m_waiting;
};

} // namespace cosim::nr
