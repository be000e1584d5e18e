// SPDX-License-Identifier: GPL-2.0-only
//
// A TCP connection that carries messages, with the bytes and round trips of a TLS 1.3 handshake before them.
#pragma once

#include "message_stream.h"
#include "network.h"
#include "packet_stamp.h"
#include "tcp_linux.h"

#include <cstdint>
#include <vector>

namespace cosim
{

/// Takes reports; `wakes` ends the current Advance.
class Reporter
{
  public:
    virtual ~Reporter() = default;
    virtual void Add(const Report& report, bool wakes) = 0;
};

class Connection
{
  public:
    Connection(int64_t id, const Topology& topology, const StampContext& stamps, Reporter& reporter);
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// Begin the handshakes from a socket of the UE; `SetServer` follows when the server accepts.
    void Start(ns3::Ptr<TcpLinux> client, const ns3::Address& server);
    void SetServer(ns3::Ptr<TcpLinux> server);

    void Send(int64_t message, int64_t n_bytes, bool up, bool wakes);
    void Close(bool wakes);

    /// The server closes, unless a part of a request has arrived or its answer still waits for room in TCP.
    void CloseFromServer();

    /// The sockets, once both ends are done with them.
    std::vector<ns3::Ptr<TcpLinux>> TakeSockets();

    ConnectionBytes Account(bool up) const;

  private:
    void Arrived(const MessageStream::Message& message, bool up);
    void ClientConnected(ns3::Ptr<ns3::Socket> socket);
    void ReportConnected();
    void ClientReads(ns3::Ptr<ns3::Socket> socket);
    void ServerReads(ns3::Ptr<ns3::Socket> socket);
    void ClientClosed(ns3::Ptr<ns3::Socket> socket);
    void ServerClosed(ns3::Ptr<ns3::Socket> socket);
    void GaveUp(ns3::Ptr<ns3::Socket> socket);
    void ServerSeesClose();
    void ClientSeesClose();
    void EndOfClient(bool up, bool wakes);
    void Reset();
    void End(bool lost);

    int64_t m_id;
    bool m_tls;
    const StampContext& m_stamps;
    Reporter& m_reporter;
    MessageStream m_up;
    MessageStream m_down;
    ns3::Ptr<TcpLinux> m_client;
    ns3::Ptr<TcpLinux> m_server;
    bool m_established{false};
    bool m_closing{false};
    bool m_close_wakes{false};
    bool m_server_closing{false};
    bool m_failing{false};
    bool m_ended{false};
};

} // namespace cosim
