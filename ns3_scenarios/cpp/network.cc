// SPDX-License-Identifier: GPL-2.0-only
//
// Commands, the run loop and the byte account.
#include "network_impl.h"

#include "epoch.h"

#include "ns3/boolean.h"
#include "ns3/global-value.h"
#include "ns3/inet-socket-address.h"
#include "ns3/rng-seed-manager.h"
#include "ns3/simulator.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace cosim
{

using namespace ns3;

namespace
{

constexpr uint16_t kServerPort = 443;

/// Sockets of an ended connection stay this long, for FINs and ACKs still to come (Linux: TIME_WAIT, 60 s).
constexpr int64_t kLingerNs = 60'000'000'000;

} // namespace

Network::Impl::Impl(const Topology& topology)
    : m_topology(topology)
{
    RngSeedManager::SetSeed(static_cast<uint32_t>(topology.seed % 0xfffffffe) + 1);
    RngSeedManager::SetRun(1);
    if (!topology.pcap_directory.empty())
    {
        GlobalValue::Bind("ChecksumEnabled", BooleanValue(true));
    }
    m_nodes = std::make_unique<Nodes>(topology);
    TcpLinux::SetDefaults(topology);
    for (const Host& server : m_nodes->Servers())
    {
        Ptr<TcpLinux> listener = TcpLinux::Create(server.node, topology);
        listener->Bind(InetSocketAddress(server.address, kServerPort));
        listener->Listen();
        listener->SetAcceptCallback(MakeNullCallback<bool, Ptr<Socket>, const Address&>(),
                                    MakeCallback(&Impl::Accepted, this));
        m_listeners.push_back(listener);
    }
    Simulator::Stop(NanoSeconds(kEpochNs));
    Simulator::Run();
}

Network::Impl::~Impl()
{
    m_nodes->Flush();
}

void
Network::Impl::Add(const Report& report, bool wakes)
{
    m_reports.push_back(report);
    if (report.kind == kClosed || report.kind == kReset)
    {
        m_to_retire.push_back(report.id);
    }
    if (wakes)
    {
        StopAfterThisInstant();
    }
}

/// One chain of probes at most: two would take each other for events that are still to be waited for.
void
Network::Impl::StopAfterThisInstant()
{
    if (!m_stopping)
    {
        m_stopping = true;
        Simulator::ScheduleNow(&Impl::Probe, this, Simulator::GetEventCount());
    }
}

/// Stop once no other event has run at this instant since the last probe.
void
Network::Impl::Probe(uint64_t events_before)
{
    const uint64_t events = Simulator::GetEventCount();
    if (events - events_before > 1)
    {
        Simulator::ScheduleNow(&Impl::Probe, this, events);
        return;
    }
    Simulator::Stop();
}

void
Network::Impl::Schedule(int64_t at_ns, std::function<void()> action)
{
    if (at_ns < EpochNow())
    {
        throw std::invalid_argument("a command for " + std::to_string(at_ns) + " ns comes at " +
                                    std::to_string(EpochNow()) + " ns");
    }
    Simulator::Schedule(NanoSeconds(at_ns - EpochNow()), std::move(action));
}

Connection*
Network::Impl::Find(int64_t connection)
{
    const auto found = m_connections.find(connection);
    return found == m_connections.end() ? nullptr : found->second.get();
}

void
Network::Impl::Accepted(Ptr<Socket> socket, const Address& from)
{
    Ptr<TcpLinux> server = DynamicCast<TcpLinux>(socket);
    const auto found = m_by_client.find(Key(from));
    if (found == m_by_client.end())
    {
        Linger({server}, nullptr); // the UE has given up meanwhile
        return;
    }
    m_connections.at(found->second)->SetServer(server);
}

/// Free what an ended connection holds but its sockets, which may still have to answer.
void
Network::Impl::Retire(int64_t id)
{
    const auto found = m_connections.find(id);
    std::unique_ptr<Connection> connection = std::move(found->second);
    m_connections.erase(found);
    m_ended.emplace(id, std::pair{connection->Account(true), connection->Account(false)});
    if (const auto client = m_client_of.find(id); client != m_client_of.end())
    {
        m_by_client.erase(client->second);
        m_client_of.erase(client);
    }
    auto sockets = connection->TakeSockets();
    Linger(std::move(sockets), std::move(connection));
}

void
Network::Impl::Linger(std::vector<Ptr<TcpLinux>> sockets, std::unique_ptr<Connection> connection)
{
    std::shared_ptr<Connection> kept = std::move(connection);
    Simulator::Schedule(NanoSeconds(kLingerNs), [sockets = std::move(sockets), kept] {
        for (const auto& socket : sockets)
        {
            socket->Abandon();
        }
        // ns-3 schedules notifications with bare pointers to sockets: outlive those of this instant.
        Simulator::Schedule(NanoSeconds(1), [sockets, kept] {});
    });
}

Network::Network(const Topology& topology)
    : m_impl(std::make_unique<Impl>(topology))
{
}

Network::~Network() = default;

void
Network::Open(int64_t at_ns, int64_t connection, const std::string& ue, const std::string& path)
{
    if (m_impl->m_known.contains(connection))
    {
        throw std::invalid_argument("connection " + std::to_string(connection) + " is opened twice");
    }
    const Host from = m_impl->m_nodes->Ue(ue);
    const Host to = m_impl->m_nodes->Server(path);
    m_impl->Schedule(at_ns, [impl = m_impl.get(), connection, from, to] {
        Ptr<TcpLinux> client = TcpLinux::Create(from.node, impl->m_topology);
        auto& entry = impl->m_connections[connection];
        entry = std::make_unique<Connection>(connection, impl->m_topology, impl->m_nodes->Stamps(), *impl);
        entry->Start(client, InetSocketAddress(to.address, kServerPort));
        Address local;
        client->GetSockName(local);
        impl->m_by_client[Impl::Key(local)] = connection;
        impl->m_client_of[connection] = Impl::Key(local);
    });
    m_impl->m_known.insert(connection);
}

void
Network::Send(int64_t at_ns, int64_t connection, int64_t message, int64_t n_bytes, bool up, bool wakes)
{
    if (!m_impl->m_known.contains(connection) || n_bytes < 1)
    {
        throw std::invalid_argument("message " + std::to_string(message) + " of " + std::to_string(n_bytes) +
                                    " bytes on connection " + std::to_string(connection) +
                                    ": it must be open and the size positive");
    }
    m_impl->Schedule(at_ns, [impl = m_impl.get(), connection, message, n_bytes, up, wakes] {
        if (Connection* open = impl->Find(connection))
        {
            open->Send(message, n_bytes, up, wakes);
            return;
        }
        const auto ended = impl->m_ended.find(connection);
        if (ended != impl->m_ended.end())
        {
            ConnectionBytes& bytes = up ? ended->second.first : ended->second.second;
            bytes.sent += n_bytes;
            bytes.discarded += n_bytes;
        }
    });
}

void
Network::Close(int64_t at_ns, int64_t connection, bool up, bool wakes)
{
    if (!m_impl->m_known.contains(connection))
    {
        throw std::invalid_argument("connection " + std::to_string(connection) + " is closed but was never opened");
    }
    m_impl->Schedule(at_ns, [impl = m_impl.get(), connection, up, wakes] {
        Connection* open = impl->Find(connection);
        if (open != nullptr && up)
        {
            open->Close(wakes);
        }
        else if (open != nullptr)
        {
            open->CloseFromServer();
        }
    });
}

int64_t
Network::Advance(int64_t until_ns)
{
    if (until_ns < EpochNow())
    {
        throw std::invalid_argument("time would go back to " + std::to_string(until_ns) + " ns");
    }
    m_impl->m_stopping = false;
    const EventId end =
        Simulator::Schedule(NanoSeconds(until_ns - EpochNow()), &Impl::StopAfterThisInstant, m_impl.get());
    Simulator::Run();
    Simulator::Remove(end);
    for (const int64_t id : m_impl->m_to_retire)
    {
        m_impl->Retire(id);
    }
    m_impl->m_to_retire.clear();
    return EpochNow();
}

std::vector<Report>
Network::TakeReports()
{
    return std::exchange(m_impl->m_reports, {});
}

std::vector<ConnectionBytes>
Network::AccountConnections() const
{
    std::vector<ConnectionBytes> accounts;
    for (const auto& [id, pair] : m_impl->m_ended)
    {
        accounts.push_back(pair.first);
        accounts.push_back(pair.second);
    }
    for (const auto& [id, connection] : m_impl->m_connections)
    {
        accounts.push_back(connection->Account(true));
        accounts.push_back(connection->Account(false));
    }
    std::sort(accounts.begin(), accounts.end(), [](const ConnectionBytes& a, const ConnectionBytes& b) {
        return std::pair(a.connection, !a.up) < std::pair(b.connection, !b.up);
    });
    return accounts;
}

std::vector<LinkCounters>
Network::AccountLinks()
{
    return m_impl->m_nodes->Counters();
}

std::vector<LinkSample>
Network::TakeLinkSamples(bool cut)
{
    return m_impl->m_nodes->TakeSamples(cut);
}

std::vector<nr::RadioSample>
Network::TakeRadioSamples(bool cut)
{
    NrAccess* cell = m_impl->m_nodes->Cell();
    return cell == nullptr ? std::vector<nr::RadioSample>{} : cell->TakeSamples(cut);
}

void
Network::Flush()
{
    m_impl->m_nodes->Flush();
}

const Nodes&
Network::GetNodes() const
{
    return *m_impl->m_nodes;
}

} // namespace cosim
