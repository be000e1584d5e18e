// SPDX-License-Identifier: GPL-2.0-only
//
// Messages over one direction of a TCP connection: their boundaries are byte counts in stream order.
#pragma once

#include "network.h"
#include "tcp_linux.h"

#include <cstdint>
#include <deque>
#include <functional>

namespace cosim
{

/// One direction: the shim's queue, what TCP holds, where messages end in the stream, and the byte account.
class MessageStream
{
  public:
    enum class Kind
    {
        kMessage,
        kClientHello,
        kServerFlight,
        kFinished,
        kTickets
    };

    struct Message
    {
        Kind kind;
        int64_t id;
        int64_t n_bytes;
        bool wakes;
    };

    using Completed = std::function<void(const Message&)>;

    explicit MessageStream(Completed completed);

    void SetSender(ns3::Ptr<TcpLinux> sender);
    void SetReceiver(ns3::Ptr<TcpLinux> receiver);

    /// Application messages may go to TCP from now on.
    void OpenGate();

    /// A message of the application; it waits for the gate.
    void Send(const Message& message);

    /// A message of the handshake: goes to TCP at once.
    void SendHandshake(Kind kind, int64_t n_bytes);

    /// A message of the handshake that leaves together with the first application message.
    void Prepend(Kind kind, int64_t n_bytes);

    /// Drop what has not reached TCP and whatever is sent later.
    void Discard();

    /// Read on, but count what arrives as discarded: nobody is there.
    void IgnoreArrivals();

    /// Whether a message has arrived in part.
    bool PartlyRead() const;

    /// Whether TCP has been given all that was sent.
    bool InTcp() const;

    /// Take in what TCP has in order.
    void Read();

    /// Detach from the sockets; what TCP still holds counts as lost or discarded.
    void End(bool lost);

    /// The account now: bytes under way count as discarded.
    ConnectionBytes Account() const;

  private:
    struct Mark
    {
        int64_t end;
        Message message;
    };

    void Write();
    void HandOver(int64_t n_bytes);
    int64_t UnreadBytes() const;

    Completed m_completed;
    ns3::Ptr<TcpLinux> m_sender;
    ns3::Ptr<TcpLinux> m_receiver;
    std::deque<Message> m_waiting; // not in TCP yet; n_bytes counts down
    std::deque<Mark> m_marks;
    bool m_gate{false};
    bool m_discarding{false};
    bool m_ignoring{false};
    bool m_refill{false};
    int64_t m_handed{0};
    int64_t m_read{0};
    int64_t m_completed_end{0};
    int64_t m_handshake_bytes{0}; // a prefix of the stream
    ConnectionBytes m_bytes;
};

} // namespace cosim
