// SPDX-License-Identifier: GPL-2.0-only
//
// ns-3's TCP with the timers, buffers and idle rules of Linux.
#pragma once

#include "network.h"
#include "quick_ack.h"
#include "tcp_demux.h"

#include "ns3/node.h"
#include "ns3/tcp-socket-base.h"

namespace cosim
{

class TcpLinux : public ns3::TcpSocketBase
{
  public:
    static ns3::TypeId GetTypeId();
    ns3::TypeId GetInstanceTypeId() const override;

    TcpLinux() = default;
    TcpLinux(const TcpLinux& other);
    ~TcpLinux() override;

    /// Set the defaults of every socket to come: MSS of the MTU, buffers, timers, retries.
    static void SetDefaults(const Topology& topology);

    /// A socket on a node. Throws std::invalid_argument for an unknown congestion control.
    static ns3::Ptr<TcpLinux> Create(ns3::Ptr<ns3::Node> node, const Topology& topology);

    /// Begin the handshake; false if no port is left.
    bool ConnectTo(const ns3::Address& server);

    /// Whether it still has an end point.
    bool IsBound() const;

    /// What ns-3's ForwardUp does without ECN: check the sequence number, then process.
    void SegmentArrives(ns3::Ptr<ns3::Packet> packet, ns3::SequenceNumber32 sequence, uint32_t header_bytes);

    /// FIN after what the buffer holds, even if packets out of order wait to be read (ns-3's Close would reset).
    void CloseAfterData();

    /// From now on answer new data with RST: Linux's tcp_rcv_state_process() for a socket that nobody reads any more.
    void RefuseData();

    /// RST, then nothing more.
    void Abort();

    /// Forget the connection without a word to the peer.
    void Abandon();

    /// Bytes written and not acknowledged.
    int64_t BufferedBytes() const;

    /// Bytes that `sender` has been given and `receiver` has not read, by ns-3's sequence numbers.
    static int64_t UnreadBytes(const TcpLinux& sender, const TcpLinux& receiver);

  protected:
    void CompleteFork(ns3::Ptr<ns3::Packet> packet,
                      const ns3::TcpHeader& header,
                      const ns3::Address& from,
                      const ns3::Address& to) override;
    void SendEmptyPacket(uint8_t flags) override;
    uint32_t SendDataPacket(ns3::SequenceNumber32 seq, uint32_t max_size, bool with_ack) override;
    void ReceivedAck(ns3::Ptr<ns3::Packet> packet, const ns3::TcpHeader& header) override;
    void ReceivedData(ns3::Ptr<ns3::Packet> packet, const ns3::TcpHeader& header) override;
    void DelAckTimeout() override;
    ns3::Time CalculateRttSample(const ns3::TcpHeader& header, const ns3::RttHistory& sent) override;

    /// Look up what the congestion control needs to be told.
    virtual void FindControl() = 0;

    /// Send a FIN that was put off and that ns-3 has forgotten.
    void CloseOnceEmpty();

    /// net.ipv4.tcp_slow_start_after_idle.
    bool RestartsAfterIdle() const;

  private:
    void Attach();

    bool m_restart_after_idle{true};
    ns3::Ptr<TcpDemux> m_demux;
    TcpDemux::Pair m_pair;
    ns3::Address m_local;
    ns3::Address m_peer;
    bool m_refusing{false};
    ns3::Time m_first_fin;
    QuickAck m_quick_ack;
};

} // namespace cosim
