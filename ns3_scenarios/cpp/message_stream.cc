// SPDX-License-Identifier: GPL-2.0-only
#include "message_stream.h"

#include "ns3/packet.h"

#include <algorithm>
#include <utility>

namespace cosim
{

using namespace ns3;

MessageStream::MessageStream(Completed completed)
    : m_completed(std::move(completed))
{
}

void
MessageStream::SetSender(Ptr<TcpLinux> sender)
{
    m_sender = sender;
}

void
MessageStream::SetReceiver(Ptr<TcpLinux> receiver)
{
    m_receiver = receiver;
}

void
MessageStream::OpenGate()
{
    m_gate = true;
    Write();
}

void
MessageStream::Send(const Message& message)
{
    m_bytes.sent += message.n_bytes;
    if (m_discarding)
    {
        m_bytes.discarded += message.n_bytes;
        return;
    }
    m_waiting.push_back(message);
    Write();
}

void
MessageStream::SendHandshake(Kind kind, int64_t n_bytes)
{
    // The buffer is empty so far, so TCP takes all of it.
    m_sender->Send(Create<Packet>(static_cast<uint32_t>(n_bytes)), 0);
    m_handed += n_bytes;
    m_handshake_bytes += n_bytes;
    m_marks.push_back({m_handed, {kind, 0, 0, false}});
}

void
MessageStream::Prepend(Kind kind, int64_t n_bytes)
{
    m_waiting.push_front({kind, 0, n_bytes, false});
    m_handshake_bytes += n_bytes;
}

void
MessageStream::Discard()
{
    for (const Message& message : m_waiting)
    {
        m_bytes.discarded += message.kind == Kind::kMessage ? message.n_bytes : 0;
    }
    m_waiting.clear();
    m_discarding = true;
}

void
MessageStream::IgnoreArrivals()
{
    m_ignoring = true;
}

bool
MessageStream::PartlyRead() const
{
    return m_read > m_completed_end;
}

bool
MessageStream::InTcp() const
{
    return m_waiting.empty();
}

/// Give TCP as much as its buffer takes, in one packet.
void
MessageStream::Write()
{
    if (!m_gate || m_waiting.empty() || m_waiting.back().kind != Kind::kMessage)
    {
        return; // a lone handshake message waits for the first request
    }
    const int64_t room = m_sender->GetTxAvailable();
    int64_t n_bytes = 0;
    for (auto message = m_waiting.begin(); message != m_waiting.end() && n_bytes < room; ++message)
    {
        n_bytes += message->n_bytes;
    }
    n_bytes = std::min(n_bytes, room);
    if (n_bytes > 0 && m_sender->Send(Create<Packet>(static_cast<uint32_t>(n_bytes)), 0) >= 0)
    {
        HandOver(n_bytes);
    }
    if (!m_waiting.empty() && !m_refill)
    {
        m_refill = true;
        m_sender->SetSendCallback(Callback<void, Ptr<Socket>, uint32_t>([this](Ptr<Socket>, uint32_t) { Write(); }));
    }
}

void
MessageStream::HandOver(int64_t n_bytes)
{
    while (n_bytes > 0)
    {
        Message& message = m_waiting.front();
        const int64_t part = std::min(n_bytes, message.n_bytes);
        message.n_bytes -= part;
        m_handed += part;
        n_bytes -= part;
        if (message.n_bytes == 0)
        {
            m_marks.push_back({m_handed, message});
            m_waiting.pop_front();
        }
    }
}

void
MessageStream::Read()
{
    int64_t n_bytes = 0;
    while (Ptr<Packet> packet = m_receiver->Recv(UINT32_MAX, 0))
    {
        if (packet->GetSize() == 0)
        {
            break; // end of stream
        }
        n_bytes += packet->GetSize();
    }
    const int64_t handshake = std::clamp<int64_t>(m_handshake_bytes - m_read, 0, n_bytes);
    m_read += n_bytes;
    (m_ignoring ? m_bytes.discarded : m_bytes.delivered) += n_bytes - handshake;
    while (!m_marks.empty() && m_marks.front().end <= m_read)
    {
        const Message message = m_marks.front().message;
        m_completed_end = m_marks.front().end;
        m_marks.pop_front();
        if (!m_ignoring)
        {
            m_completed(message);
        }
    }
}

void
MessageStream::End(bool lost)
{
    (lost ? m_bytes.lost : m_bytes.discarded) += UnreadBytes();
    Discard();
    m_marks.clear();
    for (const auto& socket : {m_sender, m_receiver})
    {
        if (socket)
        {
            socket->SetSendCallback(MakeNullCallback<void, Ptr<Socket>, uint32_t>());
            socket->SetRecvCallback(MakeNullCallback<void, Ptr<Socket>>());
        }
    }
    m_sender = nullptr;
    m_receiver = nullptr;
}

ConnectionBytes
MessageStream::Account() const
{
    ConnectionBytes bytes = m_bytes;
    for (const Message& message : m_waiting)
    {
        bytes.discarded += message.kind == Kind::kMessage ? message.n_bytes : 0;
    }
    bytes.discarded += UnreadBytes();
    return bytes;
}

/// Application bytes in TCP, counted by its sequence numbers.
int64_t
MessageStream::UnreadBytes() const
{
    if (!m_sender || m_handed == 0)
    {
        return 0;
    }
    const int64_t unread = m_receiver ? TcpLinux::UnreadBytes(*m_sender, *m_receiver) : m_sender->BufferedBytes();
    const int64_t handshake = std::clamp<int64_t>(m_handshake_bytes - m_read, 0, unread);
    return unread - handshake;
}

} // namespace cosim
