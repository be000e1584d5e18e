// SPDX-License-Identifier: GPL-2.0-only
//
// What a network holds.
#pragma once

#include "connection.h"
#include "network.h"
#include "nodes.h"
#include "nr_access.h"
#include "tcp_linux.h"

#include "ns3/inet-socket-address.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace cosim
{

struct Network::Impl : Reporter
{
    explicit Impl(const Topology& topology);
    ~Impl() override;

    void Add(const Report& report, bool wakes) override;

    void Schedule(int64_t at_ns, std::function<void()> action);
    void ChangeCell(int64_t at_ns, std::function<void(nr::Cell& cell, int64_t now_ns)> change);
    NrAccess& Cell() const;
    Connection* Find(int64_t connection);
    void Accepted(ns3::Ptr<ns3::Socket> socket, const ns3::Address& from);
    void Retire(int64_t connection);
    static void Linger(std::vector<ns3::Ptr<TcpLinux>> sockets, std::unique_ptr<Connection> connection);
    void StopAfterThisInstant();
    void Probe(uint64_t events_before);

    static uint64_t Key(const ns3::Address& address)
    {
        const ns3::InetSocketAddress inet = ns3::InetSocketAddress::ConvertFrom(address);
        return (uint64_t{inet.GetIpv4().Get()} << 16) | inet.GetPort();
    }

    Topology m_topology;
    std::unique_ptr<Nodes> m_nodes;
    std::vector<ns3::Ptr<TcpLinux>> m_listeners;
    std::unordered_set<int64_t> m_known; // every connection ever announced
    std::unordered_map<int64_t, std::unique_ptr<Connection>> m_connections;
    std::unordered_map<uint64_t, int64_t> m_by_client; // UE's address and port -> connection
    std::unordered_map<int64_t, uint64_t> m_client_of;
    std::unordered_map<int64_t, std::pair<ConnectionBytes, ConnectionBytes>> m_ended;
    std::vector<int64_t> m_to_retire;
    std::vector<Report> m_reports;
    bool m_stopping{false};
};

} // namespace cosim
