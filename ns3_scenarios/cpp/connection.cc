// SPDX-License-Identifier: GPL-2.0-only
#include "connection.h"

#include "epoch.h"

#include "ns3/simulator.h"

namespace cosim
{

using namespace ns3;

namespace
{

using Kind = MessageStream::Kind;

// TLS 1.3 (RFC 8446) records as OpenSSL 3 writes them, in bytes with record headers.
constexpr int64_t kClientHelloBytes = 517;   // padded to 512 by the extension of RFC 7685
constexpr int64_t kServerHelloBytes = 127;   // x25519 key share
constexpr int64_t kChangeCipherSpecBytes = 6;
constexpr int64_t kExtensionsBytes = 36;     // EncryptedExtensions with ALPN
constexpr int64_t kCertificateBytes = 2'970; // RSA-2048 leaf and intermediate, as public CAs issue them
constexpr int64_t kVerifyBytes = 286;        // CertificateVerify, RSA-PSS with 2048 bits
constexpr int64_t kFinishedRecordBytes = 74; // SHA-384
constexpr int64_t kTicketBytes = 255;        // NewSessionTicket; OpenSSL sends two
constexpr int64_t kServerFlightBytes = kServerHelloBytes + kChangeCipherSpecBytes + kExtensionsBytes +
                                       kCertificateBytes + kVerifyBytes + kFinishedRecordBytes;
constexpr int64_t kClientFinishedBytes = kChangeCipherSpecBytes + kFinishedRecordBytes;
constexpr int64_t kTicketsBytes = 2 * kTicketBytes;

} // namespace

Connection::Connection(int64_t id, const Topology& topology, const StampContext& stamps, Reporter& reporter)
    : m_id(id),
      m_tls(topology.tls),
      m_stamps(stamps),
      m_reporter(reporter),
      m_up([this](const MessageStream::Message& message) { Arrived(message, true); }),
      m_down([this](const MessageStream::Message& message) { Arrived(message, false); })
{
}

void
Connection::Start(Ptr<TcpLinux> client, const Address& server)
{
    m_client = client;
    m_up.SetSender(client);
    m_down.SetReceiver(client);
    client->SetConnectCallback(MakeCallback(&Connection::ClientConnected, this),
                               MakeCallback(&Connection::GaveUp, this));
    client->SetRecvCallback(MakeCallback(&Connection::ClientReads, this));
    client->SetCloseCallbacks(MakeCallback(&Connection::ClientClosed, this),
                              MakeCallback(&Connection::GaveUp, this));
    if (!client->ConnectTo(server))
    {
        GaveUp(client); // no port left
    }
}

void
Connection::SetServer(Ptr<TcpLinux> server)
{
    m_server = server;
    m_down.SetSender(server);
    m_up.SetReceiver(server);
    server->SetRecvCallback(MakeCallback(&Connection::ServerReads, this));
    server->SetCloseCallbacks(MakeCallback(&Connection::ServerClosed, this), MakeCallback(&Connection::GaveUp, this));
    if (!m_tls)
    {
        m_down.OpenGate();
    }
}

void
Connection::Send(int64_t message, int64_t n_bytes, bool up, bool wakes)
{
    (up ? m_up : m_down).Send({Kind::kMessage, message, n_bytes, wakes});
}

void
Connection::Close(bool wakes)
{
    if (m_closing || m_ended)
    {
        return;
    }
    m_closing = true;
    if (m_server_closing)
    {
        EndOfClient(true, false); // nobody is left at either end
        return;
    }
    m_close_wakes = wakes;
    m_up.Discard();
    m_down.Discard();
    m_down.IgnoreArrivals();
    if (m_established)
    {
        m_client->CloseAfterData();
    }
    // Else the SYN is on its way; the FIN follows when it is answered, so that the server sees one.
}

void
Connection::CloseFromServer()
{
    if (m_closing || m_server_closing || m_ended || !m_server || m_up.PartlyRead() || !m_down.InTcp())
    {
        return;
    }
    m_server_closing = true;
    m_up.IgnoreArrivals();
    m_down.Discard();
    m_server->CloseAfterData();
    m_server->RefuseData();
}

std::vector<Ptr<TcpLinux>>
Connection::TakeSockets()
{
    std::vector<Ptr<TcpLinux>> sockets;
    for (Ptr<TcpLinux>* socket : {&m_client, &m_server})
    {
        if (*socket)
        {
            sockets.push_back(*socket);
            *socket = nullptr;
        }
    }
    return sockets;
}

ConnectionBytes
Connection::Account(bool up) const
{
    ConnectionBytes bytes = (up ? m_up : m_down).Account();
    bytes.connection = m_id;
    bytes.up = up;
    return bytes;
}

void
Connection::ClientConnected(Ptr<Socket>)
{
    m_established = true;
    if (m_closing)
    {
        m_client->CloseAfterData();
        return;
    }
    if (m_tls)
    {
        m_up.SendHandshake(Kind::kClientHello, kClientHelloBytes);
        return;
    }
    ReportConnected();
}

void
Connection::ReportConnected()
{
    m_reporter.Add({.kind = kConnected, .t_ns = EpochNow(), .id = m_id}, false);
    m_up.OpenGate();
}

void
Connection::Arrived(const MessageStream::Message& message, bool up)
{
    switch (message.kind)
    {
    case Kind::kMessage: {
        const auto& at = m_stamps.arriving.at_ns;
        m_reporter.Add({.kind = kDelivered,
                        .t_ns = at[3] - kEpochNs,
                        .id = message.id,
                        .emitted_ns = at[0] - kEpochNs,
                        .hop0_ns = at[1] - at[0],
                        .hop1_ns = at[2] - at[1],
                        .hop2_ns = at[3] - at[2],
                        .up = up,
                        .access = m_stamps.arriving.access},
                       message.wakes);
        break;
    }
    case Kind::kClientHello:
        m_down.SendHandshake(Kind::kServerFlight, kServerFlightBytes);
        break;
    case Kind::kServerFlight:
        m_up.Prepend(Kind::kFinished, kClientFinishedBytes);
        ReportConnected();
        break;
    case Kind::kFinished:
        m_down.SendHandshake(Kind::kTickets, kTicketsBytes);
        m_down.OpenGate();
        break;
    case Kind::kTickets:
        break;
    }
}

void
Connection::ClientReads(Ptr<Socket>)
{
    m_down.Read();
}

void
Connection::ServerReads(Ptr<Socket>)
{
    m_up.Read();
}

void
Connection::ClientClosed(Ptr<Socket> socket)
{
    // TIME_WAIT after our own FIN is the ordinary end; without one the server has closed or reset the connection.
    if (m_server_closing)
    {
        Simulator::ScheduleNow(&Connection::ClientSeesClose, this);
    }
    else if (!m_closing)
    {
        GaveUp(socket);
    }
}

void
Connection::ServerClosed(Ptr<Socket> socket)
{
    if (!m_closing)
    {
        if (!m_server_closing)
        {
            GaveUp(socket);
        }
        return;
    }
    // Not from within the socket's own handling of the FIN.
    Simulator::ScheduleNow(&Connection::ServerSeesClose, this);
}

void
Connection::GaveUp(Ptr<Socket>)
{
    if (!m_failing)
    {
        m_failing = true;
        Simulator::ScheduleNow(&Connection::Reset, this);
    }
}

void
Connection::ServerSeesClose()
{
    if (m_ended)
    {
        return;
    }
    Ptr<TcpLinux> server = m_server;
    End(false);
    m_reporter.Add({.kind = kClosed, .t_ns = EpochNow(), .id = m_id}, m_close_wakes);
    if (server->BufferedBytes() > 0)
    {
        server->Abort(); // nobody reads the rest; Linux's client would answer it with RST
    }
    else
    {
        server->CloseAfterData();
    }
}

void
Connection::ClientSeesClose()
{
    if (!m_ended)
    {
        EndOfClient(false, true);
    }
}

/// The client leaves a connection that the server has closed.
void
Connection::EndOfClient(bool up, bool wakes)
{
    Ptr<TcpLinux> client = m_client;
    End(false);
    m_reporter.Add({.kind = kClosed, .t_ns = EpochNow(), .id = m_id, .up = up}, wakes);
    if (client->BufferedBytes() > 0)
    {
        client->Abort(); // the server would answer the rest with RST
    }
    else
    {
        client->CloseAfterData();
    }
}

void
Connection::Reset()
{
    if (m_ended)
    {
        return;
    }
    End(true);
    for (const auto& socket : {m_client, m_server})
    {
        if (socket)
        {
            socket->Abandon();
        }
    }
    m_reporter.Add({.kind = kReset, .t_ns = EpochNow(), .id = m_id}, true);
}

void
Connection::End(bool lost)
{
    m_ended = true;
    m_up.End(lost);
    m_down.End(lost);
    for (const auto& socket : {m_client, m_server})
    {
        if (socket)
        {
            socket->SetConnectCallback(MakeNullCallback<void, Ptr<Socket>>(), MakeNullCallback<void, Ptr<Socket>>());
            socket->SetCloseCallbacks(MakeNullCallback<void, Ptr<Socket>>(), MakeNullCallback<void, Ptr<Socket>>());
        }
    }
}

} // namespace cosim
