// SPDX-License-Identifier: GPL-2.0-only
//
// A socket under BBR: the places where Linux's TCP asks its congestion control and ns-3's does not.
#pragma once

#include "bbr_linux.h"
#include "tcp_linux.h"

namespace cosim
{

class BbrSocket : public TcpLinux
{
  public:
    static ns3::TypeId GetTypeId();
    ns3::TypeId GetInstanceTypeId() const override;

    BbrSocket() = default;
    BbrSocket(const BbrSocket& other);

    int Send(ns3::Ptr<ns3::Packet> packet, uint32_t flags) override;

  protected:
    ns3::Ptr<ns3::TcpSocketBase> Fork() override;
    uint32_t AvailableWindow() const override;
    uint32_t SendDataPacket(ns3::SequenceNumber32 seq, uint32_t max_size, bool with_ack) override;
    void FindControl() override;

  private:
    void Follow();

    BbrLinux* m_bbr{nullptr}; // owned by m_congestionControl
    bool m_named{false};
};

} // namespace cosim
