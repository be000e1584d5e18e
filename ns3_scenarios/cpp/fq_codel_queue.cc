// SPDX-License-Identifier: GPL-2.0-only
#include "fq_codel_queue.h"

#include "ns3/boolean.h"
#include "ns3/hash.h"
#include "ns3/ipv4-l3-protocol.h"
#include "ns3/queue-item.h"
#include "ns3/queue-size.h"
#include "ns3/string.h"
#include "ns3/uinteger.h"

#include <array>
#include <cstring>
#include <string>
#include <utility>

namespace cosim
{

using namespace ns3;

namespace
{

/// A packet that has its IPv4 header already.
class Item : public QueueDiscItem
{
  public:
    Item(Ptr<Packet> packet, const PacketStamp& stamp)
        : QueueDiscItem(std::move(packet), Address(), Ipv4L3Protocol::PROT_NUMBER),
          m_stamp(stamp)
    {
    }

    void AddHeader() override
    {
    }

    bool Mark() override
    {
        return false;
    }

    uint32_t Hash(uint32_t perturbation) const override
    {
        // RFC 791 3.1 without options; the ports follow.
        constexpr std::size_t kProtocol = 9;
        constexpr std::size_t kAddresses = 12;
        constexpr std::size_t kEnd = 24;
        std::array<uint8_t, kEnd> head{};
        GetPacket()->CopyData(head.data(), head.size());
        std::array<char, kEnd - kAddresses + 1 + sizeof(perturbation)> key{};
        std::memcpy(key.data(), head.data() + kAddresses, kEnd - kAddresses);
        key[kEnd - kAddresses] = static_cast<char>(head[kProtocol]);
        std::memcpy(key.data() + kEnd - kAddresses + 1, &perturbation, sizeof(perturbation));
        return Hash32(key.data(), key.size());
    }

    const PacketStamp& Stamp() const
    {
        return m_stamp;
    }

  private:
    PacketStamp m_stamp;
};

StringValue
Nanoseconds(int64_t duration_ns)
{
    return StringValue(std::to_string(duration_ns) + "ns");
}

} // namespace

FqCodelQueue::FqCodelQueue(const FqCodel& value)
    : m_disc(CreateObject<FqCoDelQueueDisc>())
{
    m_disc->SetAttribute("UseEcn", BooleanValue(false));
    m_disc->SetAttribute("Target", Nanoseconds(value.target_ns));
    m_disc->SetAttribute("Interval", Nanoseconds(value.interval_ns));
    m_disc->SetAttribute("Flows", UintegerValue(static_cast<uint64_t>(value.flows)));
    m_disc->SetAttribute("MaxSize",
                         QueueSizeValue(QueueSize(QueueSizeUnit::PACKETS, static_cast<uint32_t>(value.packets))));
    m_disc->SetQuantum(static_cast<uint32_t>(value.quantum_bytes));
    m_disc->Initialize();
}

FqCodelQueue::~FqCodelQueue()
{
    m_disc->Dispose();
}

void
FqCodelQueue::Enqueue(Ptr<Packet> packet, const PacketStamp& stamp)
{
    m_disc->Enqueue(Create<Item>(std::move(packet), stamp));
}

std::optional<FqCodelQueue::Waiting>
FqCodelQueue::Dequeue()
{
    const Ptr<QueueDiscItem> found = m_disc->Dequeue();
    if (!found)
    {
        return std::nullopt;
    }
    return Waiting{found->GetPacket(), static_cast<const Item&>(*found).Stamp()};
}

bool
FqCodelQueue::Empty() const
{
    return m_disc->GetNPackets() == 0;
}

int64_t
FqCodelQueue::Bytes() const
{
    return m_disc->GetNBytes();
}

int64_t
FqCodelQueue::TakeDrops()
{
    const int64_t drops = m_disc->GetStats().nTotalDroppedPackets;
    return drops - std::exchange(m_drops_taken, drops);
}

} // namespace cosim
