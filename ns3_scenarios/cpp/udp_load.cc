// SPDX-License-Identifier: GPL-2.0-only
#include "udp_load.h"

#include "epoch.h"
#include "nodes.h"
#include "random_stream.h"

#include "ns3/inet-socket-address.h"
#include "ns3/packet.h"
#include "ns3/simulator.h"
#include "ns3/socket.h"
#include "ns3/udp-l4-protocol.h"
#include "ns3/udp-socket-factory.h"

#include <algorithm>
#include <stdexcept>
#include <unordered_map>
#include <utility>

namespace cosim
{

using namespace ns3;

namespace
{

constexpr uint16_t kPort = 9000;
constexpr int32_t kMaxPayloadBytes = 65'507; // RFC 768 with an IPv4 header

/// What a datagram begins with.
struct Mark
{
    int32_t flow;
    int32_t place; // of its message, or its own in a window
};

void
Check(const UdpFlow& flow)
{
    if (flow.payload_bytes < static_cast<int32_t>(sizeof(Mark)) || flow.payload_bytes > kMaxPayloadBytes || flow.packets < 1 ||
        flow.period_ns < 1 || flow.spread_ns < 0 || flow.from_ns < EpochNow() || flow.window_bytes < 0)
    {
        throw std::invalid_argument("a UDP flow of " + flow.ue + " has a value out of range");
    }
}

} // namespace

struct UdpLoad::Impl
{
    struct Ends
    {
        Ptr<Socket> from;
        Address to;
    };

    struct State
    {
        UdpFlow flow;
        Ends ends;
        RandomStream random;
        int64_t due_ns{0};
        std::vector<UdpMessage> messages;
        std::vector<uint8_t> payload;
        int64_t received_bytes{0};
        int32_t sent{0}; // of a window: datagrams, and those that have arrived or been lost
        int32_t settled{0};
    };

    Ptr<Socket> SocketOf(const Host& host);
    void Read(Ptr<Socket> socket);
    void Arrived(const Mark& mark, int64_t n_bytes);
    void SendNext(int32_t number);
    void FillWindow(int32_t number);
    void SendOne(int32_t number, int32_t place);

    std::vector<State> flows;
    std::unordered_map<uint32_t, Ptr<Socket>> sockets; // by node
    int64_t unfinished{0};
};

UdpLoad::UdpLoad(Network& network, const std::vector<UdpFlow>& flows, uint64_t seed)
    : m_impl(std::make_unique<Impl>())
{
    const Nodes& nodes = network.GetNodes();
    for (const UdpFlow& flow : flows)
    {
        Check(flow);
        const int32_t number = static_cast<int32_t>(m_impl->flows.size());
        const Host& ue = nodes.Ue(flow.ue);
        const Host& server = nodes.Server(flow.path);
        const Ptr<Socket> lower = m_impl->SocketOf(ue);
        const Ptr<Socket> upper = m_impl->SocketOf(server);
        const Impl::Ends ends = flow.up ? Impl::Ends{lower, InetSocketAddress(server.address, kPort)}
                                        : Impl::Ends{upper, InetSocketAddress(ue.address, kPort)};
        RandomStream random(seed, "udp/" + flow.ue + "/" + std::to_string(number));
        const int64_t offset_ns = static_cast<int64_t>(random.Uniform() * static_cast<double>(flow.period_ns));
        m_impl->flows.push_back({.flow = flow,
                                 .ends = ends,
                                 .random = random,
                                 .due_ns = flow.from_ns + (flow.window_bytes > 0 ? 0 : offset_ns),
                                 .messages = {},
                                 .payload = std::vector<uint8_t>(flow.payload_bytes)});
        Simulator::Schedule(NanoSeconds(m_impl->flows.back().due_ns - EpochNow()),
                            flow.window_bytes > 0 ? &Impl::FillWindow : &Impl::SendNext,
                            m_impl.get(),
                            number);
    }
}

UdpLoad::~UdpLoad() = default;

const std::vector<UdpMessage>&
UdpLoad::Messages(int32_t flow) const
{
    return m_impl->flows.at(flow).messages;
}

int64_t
UdpLoad::ReceivedBytes(int32_t flow) const
{
    return m_impl->flows.at(flow).received_bytes;
}

int64_t
UdpLoad::Unfinished() const
{
    return m_impl->unfinished;
}

/// One per node, which gets UDP with it.
Ptr<Socket>
UdpLoad::Impl::SocketOf(const Host& host)
{
    Ptr<Socket>& socket = sockets[host.node->GetId()];
    if (!socket)
    {
        if (!host.node->GetObject<UdpL4Protocol>())
        {
            host.node->AggregateObject(CreateObject<UdpL4Protocol>());
        }
        socket = Socket::CreateSocket(host.node, UdpSocketFactory::GetTypeId());
        socket->Bind(InetSocketAddress(host.address, kPort));
        socket->SetRecvCallback(MakeCallback(&Impl::Read, this));
    }
    return socket;
}

void
UdpLoad::Impl::Read(Ptr<Socket> socket)
{
    while (Ptr<Packet> packet = socket->Recv())
    {
        Mark mark{};
        packet->CopyData(reinterpret_cast<uint8_t*>(&mark), sizeof(mark));
        Arrived(mark, packet->GetSize());
    }
}

void
UdpLoad::Impl::Arrived(const Mark& mark, int64_t n_bytes)
{
    State& state = flows.at(mark.flow);
    state.received_bytes += n_bytes;
    if (state.flow.window_bytes > 0)
    {
        // The access network delivers in order, so what was sent before and has not come is lost.
        state.settled = std::max(state.settled, mark.place + 1);
        FillWindow(mark.flow);
        return;
    }
    UdpMessage& message = state.messages.at(mark.place);
    if (--message.missing == 0)
    {
        message.arrived_ns = EpochNow();
        --unfinished;
    }
}

void
UdpLoad::Impl::SendNext(int32_t number)
{
    State& state = flows[number];
    const UdpFlow& flow = state.flow;
    if (state.due_ns >= flow.until_ns)
    {
        return;
    }
    const auto late_ns = static_cast<int64_t>(state.random.Uniform() * static_cast<double>(flow.spread_ns));
    Simulator::Schedule(NanoSeconds(state.due_ns + late_ns - EpochNow()), [this, number] {
        State& sender = flows[number];
        const auto place = static_cast<int32_t>(sender.messages.size());
        sender.messages.push_back({.sent_ns = EpochNow(), .missing = sender.flow.packets});
        ++unfinished;
        for (int32_t packet = 0; packet < sender.flow.packets; ++packet)
        {
            SendOne(number, place);
        }
    });
    state.due_ns += flow.period_ns;
    Simulator::Schedule(NanoSeconds(state.due_ns - EpochNow()), &Impl::SendNext, this, number);
}

void
UdpLoad::Impl::FillWindow(int32_t number)
{
    State& state = flows[number];
    const int64_t most = std::max<int64_t>(1, state.flow.window_bytes / state.flow.payload_bytes);
    while (state.sent - state.settled < most && EpochNow() < state.flow.until_ns)
    {
        SendOne(number, state.sent++);
    }
}

void
UdpLoad::Impl::SendOne(int32_t number, int32_t place)
{
    State& state = flows[number];
    const Mark mark{number, place};
    const auto* bytes = reinterpret_cast<const uint8_t*>(&mark);
    std::copy(bytes, bytes + sizeof(mark), state.payload.begin());
    state.ends.from->SendTo(Create<Packet>(state.payload.data(), state.payload.size()), 0, state.ends.to);
}

} // namespace cosim
