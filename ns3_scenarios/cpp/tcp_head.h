// SPDX-License-Identifier: GPL-2.0-only
//
// What of a packet's IPv4 and TCP headers the links look at.
#pragma once

#include "ns3/packet.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace cosim
{

/// The first bytes of an IPv4 packet with TCP (RFC 791 3.1 without options, RFC 9293 3.1).
class TcpHead
{
  public:
    explicit TcpHead(const ns3::Packet& packet)
        : m_packet_bytes(packet.GetSize())
    {
        packet.CopyData(m_bytes.data(), m_bytes.size());
    }

    bool IsTcp() const
    {
        return m_bytes[9] == 6;
    }

    /// Source and destination addresses.
    uint64_t Addresses() const
    {
        return static_cast<uint64_t>(Word(12)) << 32 | Word(16);
    }

    /// Source and destination ports.
    uint32_t Ports() const
    {
        return Word(kIpv4Bytes);
    }

    uint32_t Sequence() const
    {
        return Word(kIpv4Bytes + 4);
    }

    uint32_t Acknowledgement() const
    {
        return Word(kIpv4Bytes + 8);
    }

    int64_t PayloadBytes() const
    {
        return m_packet_bytes - static_cast<int64_t>(kIpv4Bytes) - (m_bytes[kDataOffset] >> 4) * 4;
    }

  private:
    static constexpr std::size_t kIpv4Bytes = 20;
    static constexpr std::size_t kDataOffset = kIpv4Bytes + 12;

    uint32_t Word(std::size_t at) const
    {
        return static_cast<uint32_t>(m_bytes[at]) << 24 | static_cast<uint32_t>(m_bytes[at + 1]) << 16 |
               static_cast<uint32_t>(m_bytes[at + 2]) << 8 | m_bytes[at + 3];
    }

    int64_t m_packet_bytes;
    std::array<uint8_t, kDataOffset + 1> m_bytes{};
};

} // namespace cosim
