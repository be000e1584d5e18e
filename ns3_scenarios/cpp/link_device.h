// SPDX-License-Identifier: GPL-2.0-only
//
// A NetDevice at one end of a point-to-point way for bare IPv4 packets: a link, or a UE's part of a cell.
#pragma once

#include "packet_stamp.h"
#include "transmitter.h"

#include "ns3/ipv4-l3-protocol.h"
#include "ns3/mac48-address.h"
#include "ns3/net-device.h"
#include "ns3/node.h"
#include "ns3/pcap-file-wrapper.h"

namespace cosim
{

/// Packets count as IP bytes: no link header, no ARP, no queue discipline above. A received packet goes straight to
/// the node's IPv4, past the node's table of protocol handlers, which would cost as much as the forwarding itself.
class LinkDevice : public ns3::NetDevice
{
  public:
    static ns3::TypeId GetTypeId();

    /// `originates`: the device of a host, whose packets begin here; a router's carry on.
    void Connect(Transmitter& outgoing, StampContext& context, bool originates);
    void SetIpv4(ns3::Ptr<ns3::Ipv4L3Protocol> ipv4);
    void SetCapture(ns3::Ptr<ns3::PcapFileWrapper> capture);
    void Receive(ns3::Ptr<ns3::Packet> packet, const PacketStamp& stamp);

    void SetIfIndex(const uint32_t index) override;
    uint32_t GetIfIndex() const override;
    ns3::Ptr<ns3::Channel> GetChannel() const override;
    void SetAddress(ns3::Address address) override;
    ns3::Address GetAddress() const override;
    bool SetMtu(const uint16_t mtu) override;
    uint16_t GetMtu() const override;
    bool IsLinkUp() const override;
    void AddLinkChangeCallback(ns3::Callback<void> callback) override;
    bool IsBroadcast() const override;
    ns3::Address GetBroadcast() const override;
    bool IsMulticast() const override;
    ns3::Address GetMulticast(ns3::Ipv4Address group) const override;
    ns3::Address GetMulticast(ns3::Ipv6Address address) const override;
    bool IsBridge() const override;
    bool IsPointToPoint() const override;
    bool Send(ns3::Ptr<ns3::Packet> packet, const ns3::Address& dest, uint16_t protocol) override;
    bool SendFrom(ns3::Ptr<ns3::Packet> packet,
                  const ns3::Address& source,
                  const ns3::Address& dest,
                  uint16_t protocol) override;
    ns3::Ptr<ns3::Node> GetNode() const override;
    void SetNode(ns3::Ptr<ns3::Node> node) override;
    bool NeedsArp() const override;
    void SetReceiveCallback(ReceiveCallback callback) override;
    void SetPromiscReceiveCallback(PromiscReceiveCallback callback) override;
    bool SupportsSendFrom() const override;

  private:
    void DoDispose() override;
    void Capture(ns3::Ptr<const ns3::Packet> packet) const;

    Transmitter* m_outgoing{nullptr};
    StampContext* m_context{nullptr};
    bool m_originates{false};
    ns3::Ptr<ns3::Ipv4L3Protocol> m_ipv4;
    ns3::Ptr<ns3::PcapFileWrapper> m_capture;
    ns3::Ptr<ns3::Node> m_node;
    ns3::Mac48Address m_address{"00:00:00:00:00:01"};
    uint32_t m_if_index{0};
    uint16_t m_mtu{1500};
};

} // namespace cosim
