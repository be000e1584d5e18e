// SPDX-License-Identifier: GPL-2.0-only
//
// The nodes and what joins them: UEs - router (gNB, UPF) - core router - one server per path.
#pragma once

#include "link_device.h"
#include "link_direction.h"
#include "network.h"
#include "nr_access.h"
#include "packet_stamp.h"

#include "ns3/ipv4-address.h"
#include "ns3/node.h"
#include "ns3/pcap-file-wrapper.h"

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace cosim
{

struct Host
{
    ns3::Ptr<ns3::Node> node;
    ns3::Ipv4Address address;
};

/// Addresses: UE i has 10.0.0.1 + i, the server of path p has 192.168.p.1.
class Nodes
{
  public:
    /// Throws std::invalid_argument on names used twice and values out of range.
    explicit Nodes(const Topology& topology);

    const Host& Ue(const std::string& name) const;
    const Host& Server(const std::string& path) const;
    std::vector<Host> Servers() const;

    /// `link`: `access` (of every UE, without a cell), `core` or `paths.NAME`.
    void Set(const std::string& link, bool up, const Direction& value);
    void Lose(const std::string& link, bool up, int64_t segment);
    bool HasLink(const std::string& link) const;

    /// The cell that the UEs are in; null if they have links.
    NrAccess* Cell() const;

    std::vector<LinkCounters> Counters();
    std::vector<LinkSample> TakeSamples(bool cut);
    const StampContext& Stamps() const;
    void Flush();

  private:
    struct LinkPair
    {
        std::string group; // the name that Set takes
        std::unique_ptr<LinkDirection> up;
        std::unique_ptr<LinkDirection> down;
    };

    struct Interface
    {
        ns3::Ptr<LinkDevice> device;
        ns3::Ipv4Address address;
    };

    ns3::Ptr<ns3::Node> CreateNode(const std::string& name);
    void AddCell(const Topology& topology);
    std::pair<Interface, Interface> Join(const std::string& group,
                                         const std::string& name,
                                         const Link& link,
                                         const Host& lower,
                                         const Host& upper);
    std::pair<Interface, Interface> JoinCell(std::size_t ue, const Host& modem, const Host& gateway);
    Interface AddInterface(const Host& host);

    uint64_t m_seed;
    uint32_t m_mtu_bytes;
    std::string m_pcap_directory;
    StampContext m_stamps;
    std::vector<LinkPair> m_links;
    std::unique_ptr<NrAccess> m_cell;
    std::unordered_map<std::string, Host> m_ues;
    std::unordered_map<std::string, Host> m_servers;
    std::vector<std::string> m_paths;
    std::unordered_map<uint32_t, ns3::Ptr<ns3::PcapFileWrapper>> m_captures; // by node
};

} // namespace cosim
