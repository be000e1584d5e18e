// SPDX-License-Identifier: GPL-2.0-only
#include "rlc.h"

#include "pdcp.h"
#include "rlc_receiver.h"
#include "rlc_transmitter.h"
#include "sdu_ledger.h"

#include <utility>

namespace cosim::nr
{

struct RlcBearer::Impl
{
    Impl(const RlcConfig& config, Agenda& agenda, Deliver deliver, GiveUp give_up, Wake wake)
        : config(config),
          deliver(std::move(deliver)),
          give_up(std::move(give_up)),
          wake(std::move(wake)),
          pdcp(
              config.t_reordering_ns,
              agenda,
              [this](int64_t now_ns, int64_t serial, const AccessParts& parts) { Leave(now_ns, serial, parts); },
              [this](int64_t serial) { Drop(serial); }),
          receiver(
              config,
              agenda,
              [this](int64_t now_ns, const RlcPdu& pdu) { Whole(now_ns, pdu); },
              [this](int64_t serial) { Drop(serial); },
              [this] {
                  if (peer)
                  {
                      peer->wake();
                  }
              }),
          transmitter(
              config,
              agenda,
              [this](int64_t serial) { ledger.Sent(serial); },
              [this](int64_t now_ns, int64_t serial) { Abandon(now_ns, serial); },
              [this] { this->wake(); })
    {
    }

    void Whole(int64_t now_ns, const RlcPdu& pdu)
    {
        if (pdcp.Expects(pdu.serial) && ledger.Open(pdu.serial))
        {
            pdcp.Receive(now_ns, pdu.serial, PartsUntilReceipt(ledger[pdu.serial], *pdu.first, *pdu.air, now_ns));
        }
    }

    void Leave(int64_t now_ns, int64_t serial, const AccessParts& parts)
    {
        const SduRecord sdu = ledger.Settle(serial);
        deliver(RlcArrival{now_ns, sdu.handle, sdu.n_bytes, parts});
    }

    void Drop(int64_t serial)
    {
        if (ledger.Open(serial))
        {
            const SduRecord sdu = ledger.Settle(serial);
            give_up(sdu.handle, sdu.n_bytes);
        }
    }

    /// Nothing on the air tells the receiver; after a re-establishment it would not wait either.
    void Abandon(int64_t now_ns, int64_t serial)
    {
        if (receiver.Skip(now_ns, serial))
        {
            Drop(serial);
            pdcp.Skip(now_ns, serial);
        }
    }

    const RlcConfig config;
    const Deliver deliver;
    const GiveUp give_up;
    const Wake wake;
    Impl* peer{nullptr}; // the other direction
    SduLedger ledger;
    PdcpReceiver pdcp;
    RlcReceiver receiver;
    RlcTransmitter transmitter;
};

RlcBearer::RlcBearer(const RlcConfig& config, Agenda& agenda, Deliver deliver, GiveUp give_up, Wake wake)
    : m_impl(std::make_unique<Impl>(config, agenda, std::move(deliver), std::move(give_up), std::move(wake)))
{
}

RlcBearer::~RlcBearer() = default;

void
RlcBearer::Join(RlcBearer& up, RlcBearer& down)
{
    up.m_impl->peer = down.m_impl.get();
    down.m_impl->peer = up.m_impl.get();
}

bool
RlcBearer::Enqueue(int64_t now_ns, uint64_t handle, int64_t n_bytes, std::shared_ptr<AccessCycle> cycle)
{
    if (m_impl->ledger.WaitingBytes() + n_bytes > m_impl->config.buffer_bytes)
    {
        return false;
    }
    m_impl->ledger.Add(SduRecord{handle, n_bytes, now_ns, std::move(cycle)});
    m_impl->transmitter.Enqueue(n_bytes + m_impl->config.pdcp_bytes);
    return true;
}

int64_t
RlcBearer::PendingBytes() const
{
    const int64_t status_bytes = m_impl->peer ? m_impl->peer->receiver.StatusBytes() : 0;
    return m_impl->transmitter.PendingBytes() + (status_bytes > 0 ? status_bytes + m_impl->config.mac_bytes : 0);
}

int64_t
RlcBearer::WaitingBytes() const
{
    return m_impl->ledger.WaitingBytes();
}

int64_t
RlcBearer::UnsettledBytes() const
{
    return m_impl->ledger.InsideBytes();
}

int64_t
RlcBearer::Fill(int64_t now_ns, int64_t room_bytes, const std::shared_ptr<AirTimes>& air, std::vector<RlcPdu>& pdus)
{
    int64_t used = 0;
    if (m_impl->peer)
    {
        RlcPdu status;
        const int64_t n_bytes =
            m_impl->peer->receiver.FillStatus(now_ns, room_bytes - m_impl->config.mac_bytes, status);
        if (n_bytes > 0)
        {
            status.first = air;
            status.air = air;
            used = n_bytes + m_impl->config.mac_bytes;
            pdus.push_back(std::move(status));
        }
    }
    return used + m_impl->transmitter.Fill(now_ns, room_bytes - used, air, pdus);
}

void
RlcBearer::Receive(int64_t now_ns, const RlcPdu& pdu)
{
    if (!pdu.status)
    {
        m_impl->receiver.Receive(now_ns, pdu);
    }
    else if (m_impl->peer)
    {
        m_impl->peer->transmitter.OnStatus(now_ns, pdu);
    }
}

void
RlcBearer::Lose(const RlcPdu& pdu)
{
    if (!m_impl->config.acknowledged)
    {
        m_impl->Drop(pdu.serial);
    }
}

} // namespace cosim::nr
