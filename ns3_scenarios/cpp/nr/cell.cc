// SPDX-License-Identifier: GPL-2.0-only
#include "cell.h"

#include "agenda.h"
#include "buffers.h"
#include "frame.h"
#include "gnb_mac.h"
#include "harq.h"
#include "kpi.h"
#include "slot_book.h"
#include "slot_loop.h"
#include "ue_context.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace cosim::nr
{

namespace
{

void
Require(bool met, const std::string& what)
{
    if (!met)
    {
        throw std::invalid_argument(what);
    }
}

const CellConfig&
Checked(const CellConfig& config)
{
    const TimingConfig& timing = config.timing;
    const HarqConfig& harq = config.harq;
    Require(!config.bearers.empty(), "a cell has at least one bearer");
    Require(harq.processes >= 1 && harq.max_transmissions >= 1, "HARQ has at least one process and transmission");
    for (const int32_t slots : {timing.schedule_ahead_slots,
                                timing.k2_slots,
                                timing.k1_slots,
                                timing.sr_ready_slots,
                                timing.pdu_ahead_slots})
    {
        Require(slots >= 0, "no number of slots of the timing is negative");
    }
    for (const int64_t t_ns : {timing.gnb_decode_ns, timing.ue_decode_ns, timing.gnb_stack_ns, timing.ue_stack_ns})
    {
        Require(t_ns >= 0, "no time of the timing is negative");
    }
    for (const BearerConfig& bearer : config.bearers)
    {
        Require(bearer.lcg >= 0 && bearer.lcg < kLcgs, "lcg of a bearer is 0 to 7");
    }
    return config;
}

int64_t
AheadSlots(const CellConfig& config, const Frame& frame)
{
    const TimingConfig& timing = config.timing;
    return timing.schedule_ahead_slots + timing.k2_slots + timing.k1_slots + 4 * frame.Period();
}

} // namespace

struct Cell::Impl
{
    explicit Impl(const CellConfig& given)
        : config(Checked(given)),
          frame(config.carrier, config.timing),
          kpis(config, frame),
          buffers(config,
                  agenda,
                  kpis,
                  {[this](int64_t now_ns, int32_t ue) { return Ue(ue).mac.Join(now_ns); },
                   [this](int64_t now_ns, int32_t, bool) { loop.Wake(now_ns); }}),
          harq(config),
          book(AheadSlots(config, frame)),
          gnb(config, frame, buffers, harq, book, ues),
          loop(config, frame, agenda, buffers, harq, book, gnb, ues, kpis)
    {
        for (size_t i = 0; i < config.ues.size(); ++i)
        {
            ues.emplace_back(config, static_cast<int32_t>(i), frame, buffers, kpis);
        }
        for (size_t i = 0; i < config.ues.size(); ++i)
        {
            if (const UeConfig& ue = config.ues[i]; ue.background)
            {
                buffers.SetTraffic(0, static_cast<int32_t>(i), true, ue.ul_traffic, ue.ul);
                buffers.SetTraffic(0, static_cast<int32_t>(i), false, ue.dl_traffic, ue.dl);
            }
        }
    }

    UeContext& Ue(int32_t ue)
    {
        return ues.at(static_cast<size_t>(ue));
    }

    /// A call from outside comes at a time: what was due before it happens first.
    void MoveTo(int64_t now_ns)
    {
        loop.RunTo(now_ns - 1);
    }

    const CellConfig config;
    const Frame frame;
    Agenda agenda;
    RadioKpis kpis;
    UeContexts ues;
    Buffers buffers;
    Harq harq;
    SlotBook book;
    GnbMac gnb;
    SlotLoop loop;
};

Cell::Cell(const CellConfig& config)
    : m_impl(std::make_unique<Impl>(config))
{
}

Cell::~Cell() = default;

bool
Cell::Enqueue(int64_t now_ns, int32_t ue, bool up, int32_t bearer, int64_t n_bytes, uint64_t handle)
{
    m_impl->MoveTo(now_ns);
    return m_impl->buffers.Enqueue(now_ns, ue, up, bearer, n_bytes, handle);
}

int64_t
Cell::NextNs() const
{
    return m_impl->loop.NextNs();
}

void
Cell::Run(int64_t now_ns)
{
    m_impl->loop.RunTo(now_ns);
}

std::vector<Arrival>
Cell::TakeArrivals()
{
    return m_impl->buffers.TakeArrivals();
}

std::vector<uint64_t>
Cell::TakeDropped()
{
    return m_impl->buffers.TakeDropped();
}

void
Cell::SetRadio(int64_t now_ns, int32_t ue, const RadioConfig& radio)
{
    m_impl->MoveTo(now_ns);
    m_impl->Ue(ue).link.SetRadio(now_ns, radio);
}

void
Cell::Interrupt(int64_t now_ns, int32_t ue, int64_t until_ns)
{
    m_impl->MoveTo(now_ns);
    int64_t& interrupted_until_ns = m_impl->Ue(ue).interrupted_until_ns;
    interrupted_until_ns = std::max(interrupted_until_ns, until_ns);
    if (until_ns > now_ns)
    {
        m_impl->harq.Interrupt(ue, now_ns);
    }
    if (until_ns != kNever)
    {
        m_impl->agenda.At(until_ns, [impl = m_impl.get()] { impl->loop.Wake(impl->agenda.NowNs()); });
    }
}

void
Cell::SetGrants(int64_t now_ns, const UplinkGrantConfig& grants)
{
    m_impl->MoveTo(now_ns);
    m_impl->gnb.SetGrants(grants);
    for (UeContext& ue : m_impl->ues)
    {
        ue.link.SetGrants(grants);
        ue.mac.SetGrants(grants);
    }
    m_impl->loop.Wake(now_ns);
}

void
Cell::SetScheduler(int64_t now_ns, const SchedulerConfig& scheduler)
{
    m_impl->MoveTo(now_ns);
    m_impl->gnb.SetScheduler(scheduler);
}

void
Cell::SetLink(int64_t now_ns, const LinkAdaptationConfig& link)
{
    m_impl->MoveTo(now_ns);
    m_impl->harq.SetLink(link);
    for (UeContext& ue : m_impl->ues)
    {
        ue.link.SetLink(link);
    }
}

void
Cell::SetTraffic(int64_t now_ns, int32_t ue, bool up, bool present, const TrafficConfig& traffic)
{
    m_impl->MoveTo(now_ns);
    m_impl->buffers.SetTraffic(now_ns, ue, up, present, traffic);
}

std::vector<RadioSample>
Cell::TakeSamples(int64_t now_ns, bool cut)
{
    // Looking changes nothing: what is due now may still be preceded by a packet that comes now.
    m_impl->loop.RunTo(cut ? now_ns : now_ns - 1);
    return m_impl->kpis.Take(now_ns, cut);
}

PacketBytes
Cell::Account(int32_t ue, bool up) const
{
    return m_impl->buffers.Account(ue, up);
}

void
Cell::RecordTransmissions()
{
    m_impl->loop.RecordTransmissions();
}

std::vector<Transmission>
Cell::TakeTransmissions()
{
    return m_impl->loop.TakeTransmissions();
}

} // namespace cosim::nr
