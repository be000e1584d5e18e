// SPDX-License-Identifier: GPL-2.0-only
#include "nodes.h"

#include "routing.h"
#include "tcp_demux.h"
#include "validate.h"

#include "ns3/arp-l3-protocol.h"
#include "ns3/boolean.h"
#include "ns3/icmpv4-l4-protocol.h"
#include "ns3/ipv4-l3-protocol.h"
#include "ns3/traffic-control-layer.h"

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <utility>

namespace cosim
{

using namespace ns3;

namespace
{

constexpr uint32_t kUeBase = 0x0a000001;       // 10.0.0.1
constexpr uint32_t kUeGatewayBase = 0x0a800001; // 10.128.0.1
constexpr uint32_t kRouterToCore = 0xac100001; // 172.16.0.1
constexpr uint32_t kCoreToRouter = 0xac100002;
constexpr uint32_t kServerBase = 0xc0a80001;   // 192.168.0.1
constexpr uint32_t kMaxUes = 1 << 16;
constexpr uint32_t kMaxPaths = 250;
constexpr uint32_t kLinkTypeRaw = 101;         // LINKTYPE_RAW, tcpdump.org/linktypes.html

Ipv4Address
ServerAddress(std::size_t path)
{
    return Ipv4Address(static_cast<uint32_t>(kServerBase + 256 * path));
}

Ptr<HostRouting>
Routing(Ptr<Node> node)
{
    return DynamicCast<HostRouting>(node->GetObject<Ipv4>()->GetRoutingProtocol());
}

void
Require(bool condition, const std::string& text)
{
    if (!condition)
    {
        throw std::invalid_argument(text);
    }
}

} // namespace

Nodes::Nodes(const Topology& topology)
    : m_seed(topology.seed),
      m_mtu_bytes(topology.mtu_bytes),
      m_pcap_directory(topology.pcap_directory)
{
    Require(topology.mtu_bytes >= 576 && topology.mtu_bytes <= 65'535, "mtu must be 576 to 65535 bytes");
    Require(!topology.ues.empty() && topology.ues.size() <= kMaxUes, "there must be 1 to 65536 UEs");
    Require(!topology.paths.empty() && topology.paths.size() <= kMaxPaths, "there must be 1 to 250 paths");

    const Host router{CreateNode("router"), Ipv4Address(kRouterToCore)};
    const Host core{CreateNode("core"), Ipv4Address(kCoreToRouter)};
    const auto [router_up, core_down] = Join("core", "core", topology.core, router, core);
    Routing(router.node)->SetDefaultRoute(router.address, router_up.device);
    Routing(core.node)->SetDefaultRoute(core.address, core_down.device);

    if (topology.has_cell)
    {
        AddCell(topology);
    }
    for (uint32_t i = 0; i < topology.ues.size(); ++i)
    {
        const std::string& name = topology.ues[i];
        const Host ue{CreateNode("ue-" + name), Ipv4Address(kUeBase + i)};
        Require(m_ues.emplace(name, ue).second, "two UEs are named " + name);
        const Host gateway{router.node, Ipv4Address(kUeGatewayBase + i)};
        const auto [ue_up, router_down] = m_cell ? JoinCell(i, ue, gateway)
                                                 : Join("access", "access/" + name, topology.access, ue, gateway);
        Routing(ue.node)->SetDefaultRoute(ue.address, ue_up.device);
        Routing(router.node)->AddRoute(ue.address, gateway.address, router_down.device);
    }
    for (uint32_t i = 0; i < topology.paths.size(); ++i)
    {
        const auto& [name, wan] = topology.paths[i];
        const Host server{CreateNode("server-" + name), ServerAddress(i)};
        Require(m_servers.emplace(name, server).second, "two paths are named " + name);
        m_paths.push_back(name);
        const Host gateway{core.node, Ipv4Address(kServerBase + 256 * i + 1)};
        const auto [core_up, server_down] = Join("paths." + name, "paths." + name, wan, gateway, server);
        Routing(server.node)->SetDefaultRoute(server.address, server_down.device);
        Routing(core.node)->AddRoute(server.address, gateway.address, core_up.device);
    }
}

const Host&
Nodes::Ue(const std::string& name) const
{
    const auto found = m_ues.find(name);
    Require(found != m_ues.end(), "no UE is named " + name);
    return found->second;
}

const Host&
Nodes::Server(const std::string& path) const
{
    const auto found = m_servers.find(path);
    Require(found != m_servers.end(), "no path is named " + path);
    return found->second;
}

std::vector<Host>
Nodes::Servers() const
{
    std::vector<Host> servers;
    for (const std::string& path : m_paths)
    {
        servers.push_back(m_servers.at(path));
    }
    return servers;
}

bool
Nodes::HasLink(const std::string& link) const
{
    for (const LinkPair& pair : m_links)
    {
        if (pair.group == link)
        {
            return true;
        }
    }
    return false;
}

NrAccess*
Nodes::Cell() const
{
    return m_cell.get();
}

void
Nodes::Set(const std::string& link, bool up, const Direction& value)
{
    for (LinkPair& pair : m_links)
    {
        if (pair.group == link)
        {
            (up ? pair.up : pair.down)->Set(value);
        }
    }
}

void
Nodes::Lose(const std::string& link, bool up, int64_t segment)
{
    for (LinkPair& pair : m_links)
    {
        if (pair.group == link)
        {
            (up ? pair.up : pair.down)->Lose(segment);
        }
    }
}

std::vector<LinkCounters>
Nodes::Counters()
{
    std::vector<LinkCounters> counters;
    for (LinkPair& pair : m_links)
    {
        counters.push_back(pair.up->Counters());
        counters.push_back(pair.down->Counters());
    }
    if (m_cell)
    {
        std::ranges::copy(m_cell->Counters(), std::back_inserter(counters));
    }
    return counters;
}

std::vector<LinkSample>
Nodes::TakeSamples(bool cut)
{
    std::vector<LinkSample> samples;
    int32_t number = 0;
    for (LinkPair& pair : m_links)
    {
        for (LinkDirection* direction : {pair.up.get(), pair.down.get()})
        {
            for (LinkSample& sample : direction->TakeSamples(cut))
            {
                sample.direction = number;
                samples.push_back(sample);
            }
            ++number;
        }
    }
    std::stable_sort(samples.begin(), samples.end(), [](const LinkSample& a, const LinkSample& b) {
        return a.t_ns < b.t_ns;
    });
    return samples;
}

const StampContext&
Nodes::Stamps() const
{
    return m_stamps;
}

void
Nodes::Flush()
{
    for (auto& [node, capture] : m_captures)
    {
        capture->Close();
    }
    m_captures.clear();
}

Ptr<Node>
Nodes::CreateNode(const std::string& name)
{
    Ptr<Node> node = CreateObject<Node>();
    // What InternetStackHelper installs for IPv4, with our routing and our TCP demultiplexer. IPv4 calls ARP and the
    // traffic control layer without asking whether they are there; neither does anything here.
    node->AggregateObject(CreateObject<ArpL3Protocol>());
    Ptr<Ipv4L3Protocol> ipv4 = CreateObject<Ipv4L3Protocol>();
    node->AggregateObject(ipv4);
    node->AggregateObject(CreateObject<Icmpv4L4Protocol>());
    ipv4->SetRoutingProtocol(CreateObject<HostRouting>());
    node->AggregateObject(CreateObject<TrafficControlLayer>());
    node->AggregateObject(CreateObject<TcpDemux>());
    if (!m_pcap_directory.empty())
    {
        std::string file = name;
        for (char& c : file)
        {
            c = c == '/' ? '_' : c;
        }
        Ptr<PcapFileWrapper> capture = CreateObject<PcapFileWrapper>();
        capture->SetAttribute("NanosecMode", BooleanValue(true));
        capture->Open(m_pcap_directory + "/" + file + ".pcap", std::ios::out | std::ios::binary);
        Require(!capture->Fail(), "cannot write " + m_pcap_directory + "/" + file + ".pcap");
        capture->Init(kLinkTypeRaw);
        m_captures.emplace(node->GetId(), capture);
    }
    return node;
}

void
Nodes::AddCell(const Topology& topology)
{
    std::vector<Ipv4Address> servers;
    for (std::size_t path = 0; path < topology.paths.size(); ++path)
    {
        servers.push_back(ServerAddress(path));
    }
    m_cell = std::make_unique<NrAccess>(topology, servers);
}

std::pair<Nodes::Interface, Nodes::Interface>
Nodes::JoinCell(std::size_t ue, const Host& modem, const Host& gateway)
{
    const Interface below = AddInterface(modem);
    const Interface above = AddInterface(gateway);
    m_cell->Join(ue, *below.device, *above.device, m_stamps);
    return {below, above};
}

/// `lower` is nearer to the UEs. Hosts are below access links and above WAN links; all other ends are routers'.
std::pair<Nodes::Interface, Nodes::Interface>
Nodes::Join(const std::string& group, const std::string& name, const Link& link, const Host& lower, const Host& upper)
{
    Validate(name, link.uplink);
    Validate(name, link.downlink);
    LinkPair& pair = m_links.emplace_back();
    pair.group = group;
    pair.up = std::make_unique<LinkDirection>(name, true, link.uplink, m_seed);
    pair.down = std::make_unique<LinkDirection>(name, false, link.downlink, m_seed);
    const Interface below = AddInterface(lower);
    const Interface above = AddInterface(upper);
    below.device->Connect(*pair.up, m_stamps, group == "access");
    above.device->Connect(*pair.down, m_stamps, group.starts_with("paths."));
    pair.up->SetReceiver([device = PeekPointer(above.device)](Ptr<Packet> packet, const PacketStamp& stamp) {
        device->Receive(std::move(packet), stamp);
    });
    pair.down->SetReceiver([device = PeekPointer(below.device)](Ptr<Packet> packet, const PacketStamp& stamp) {
        device->Receive(std::move(packet), stamp);
    });
    return {below, above};
}

Nodes::Interface
Nodes::AddInterface(const Host& host)
{
    Ptr<LinkDevice> device = CreateObject<LinkDevice>();
    device->SetMtu(static_cast<uint16_t>(m_mtu_bytes));
    host.node->AddDevice(device);
    Ptr<Ipv4L3Protocol> ipv4 = host.node->GetObject<Ipv4L3Protocol>();
    device->SetIpv4(ipv4);
    const uint32_t interface = ipv4->AddInterface(device);
    ipv4->AddAddress(interface, Ipv4InterfaceAddress(host.address, Ipv4Mask::GetOnes()));
    ipv4->SetMetric(interface, 1);
    ipv4->SetUp(interface);
    if (const auto capture = m_captures.find(host.node->GetId()); capture != m_captures.end())
    {
        device->SetCapture(capture->second);
    }
    return {device, host.address};
}

} // namespace cosim
