// SPDX-License-Identifier: GPL-2.0-only
//
// The transmitting side of an RLC entity: 38.322 5.2.2.1 (UM), 5.2.3.1, 5.3.2 and 5.3.3 (AM).
#pragma once

#include "agenda.h"
#include "config.h"
#include "rlc.h"
#include "serial_ring.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace cosim::nr
{

class RlcTransmitter
{
  public:
    /// The first byte of an SDU goes out.
    using Begin = std::function<void(int64_t serial)>;
    /// An SDU has been retransmitted as often as it may be (maxRetxThreshold).
    using Abandon = std::function<void(int64_t now_ns, int64_t serial)>;
    using Wake = std::function<void()>;

    RlcTransmitter(const RlcConfig& config, Agenda& agenda, Begin begin, Abandon abandon, Wake wake);

    /// The next SDU, of so many bytes with its PDCP header.
    void Enqueue(int64_t n_bytes);

    /// Retransmissions and new SDUs with headers; without the new ones while the window is full.
    int64_t PendingBytes() const;

    /// Bytes used of `room_bytes`: retransmissions, then new SDUs.
    int64_t Fill(int64_t now_ns, int64_t room_bytes, const std::shared_ptr<AirTimes>& air, std::vector<RlcPdu>& pdus);

    void OnStatus(int64_t now_ns, const RlcPdu& status);

  private:
    struct Sdu
    {
        int64_t n_bytes{0};
        int32_t pieces{0};        // in which it was first sent
        int64_t first_piece{0};
        int32_t retransmissions{0};
        int64_t pending_bytes{0}; // of its parts that wait for retransmission, with headers
        bool settled{false};      // acknowledged or abandoned
    };

    /// Bytes up to `end` of an SDU were first sent in a TB.
    struct Piece
    {
        int64_t end{0};
        std::shared_ptr<AirTimes> air;
    };

    struct Part
    {
        int64_t serial{0};
        int64_t start{0};
        int64_t end{0};
    };

    int64_t HeaderBytes(int64_t offset) const;
    int64_t CostOf(const Part& part) const;
    int64_t SentBytes(int64_t serial) const;
    bool WindowFull() const;
    bool NothingToSend() const;
    int64_t FillRetransmissions(int64_t room_bytes, const std::shared_ptr<AirTimes>& air, std::vector<RlcPdu>& pdus);
    int64_t FillNew(int64_t room_bytes, const std::shared_ptr<AirTimes>& air, std::vector<RlcPdu>& pdus);
    const std::shared_ptr<AirTimes>& FirstAir(const Sdu& sdu, int64_t byte) const;
    void Poll(int64_t now_ns, RlcPdu& last);
    void ExpirePollRetransmit();
    bool CountRetransmission(int64_t now_ns, int64_t serial);
    void Queue(int64_t serial, int64_t start, int64_t end);
    void Unqueue(Sdu& sdu);
    void GiveUp(int64_t now_ns, int64_t serial);
    void ReleaseFront();

    RlcConfig m_config;
    Agenda& m_agenda;
    Begin m_begin;
    Abandon m_abandon;
    Wake m_wake;
    SerialRing<Sdu> m_sdus;     // from TX_Next_Ack (UM: from the first not wholly sent)
    SerialRing<Piece> m_pieces; // AM only
    SerialRing<Part> m_parts;   // to be retransmitted; those of settled SDUs are passed over
    int64_t m_next{0};          // TX_Next: the first SDU that has not been sent whole
    int64_t m_offset{0};        // and how much of it has been
    int64_t m_unsent_bytes{0};
    int64_t m_retransmission_bytes{0};
    int64_t m_pdus_without_poll{0};
    int64_t m_bytes_without_poll{0};
    int64_t m_poll_serial{-1}; // POLL_SN
    bool m_poll_due{false};
    Timer m_poll_retransmit;
};

} // namespace cosim::nr
