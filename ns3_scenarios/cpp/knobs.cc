// SPDX-License-Identifier: GPL-2.0-only
//
// What can be changed while the network runs. Names are looked up at once, so that a wrong one is told to who wrote it.
#include "network_impl.h"
#include "transmission.h"
#include "validate.h"

#include <stdexcept>
#include <utility>

namespace cosim
{

NrAccess&
Network::Impl::Cell() const
{
    NrAccess* cell = m_nodes->Cell();
    if (cell == nullptr)
    {
        throw std::invalid_argument("the access network is no cell");
    }
    return *cell;
}

void
Network::Impl::ChangeCell(int64_t at_ns, std::function<void(nr::Cell& cell, int64_t now_ns)> change)
{
    Schedule(at_ns, [&cell = Cell(), change = std::move(change)] { cell.Change(change); });
}

void
Network::Set(int64_t at_ns, const std::string& link, bool up, const Direction& value)
{
    Direction told = value;
    if (KeepsOpportunities(value.opportunities))
    {
        told.opportunities = {}; // those that it has were validated
    }
    Validate(link, told);
    if (!m_impl->m_nodes->HasLink(link))
    {
        throw std::invalid_argument("no link is named " + link + ": take access, core or paths.NAME");
    }
    m_impl->Schedule(at_ns, [impl = m_impl.get(), link, up, value] { impl->m_nodes->Set(link, up, value); });
}

void
Network::Lose(int64_t at_ns, const std::string& link, bool up, int64_t segment)
{
    if (!m_impl->m_nodes->HasLink(link) || segment < 1)
    {
        throw std::invalid_argument("segment " + std::to_string(segment) + " of " + link +
                                    " cannot be lost: take access, core or paths.NAME, and count from 1");
    }
    m_impl->Schedule(at_ns, [impl = m_impl.get(), link, up, segment] { impl->m_nodes->Lose(link, up, segment); });
}

void
Network::SetRadio(int64_t at_ns, const std::string& ue, const nr::RadioConfig& radio)
{
    m_impl->ChangeCell(at_ns, [number = m_impl->Cell().Ue(ue), radio](nr::Cell& cell, int64_t now_ns) {
        cell.SetRadio(now_ns, number, radio);
    });
}

void
Network::Interrupt(int64_t at_ns, const std::string& ue, int64_t until_ns)
{
    m_impl->ChangeCell(at_ns, [number = m_impl->Cell().Ue(ue), until_ns](nr::Cell& cell, int64_t now_ns) {
        cell.Interrupt(now_ns, number, until_ns);
    });
}

void
Network::SetTraffic(int64_t at_ns, const std::string& ue, bool up, bool present, const nr::TrafficConfig& traffic)
{
    const int32_t number = m_impl->Cell().Ue(ue);
    m_impl->ChangeCell(at_ns, [number, up, present, traffic](nr::Cell& cell, int64_t now_ns) {
        cell.SetTraffic(now_ns, number, up, present, traffic);
    });
}

void
Network::SetGrants(int64_t at_ns, const nr::UplinkGrantConfig& grants)
{
    m_impl->ChangeCell(at_ns, [grants](nr::Cell& cell, int64_t now_ns) { cell.SetGrants(now_ns, grants); });
}

void
Network::SetScheduler(int64_t at_ns, const nr::SchedulerConfig& scheduler)
{
    m_impl->ChangeCell(at_ns, [scheduler](nr::Cell& cell, int64_t now_ns) { cell.SetScheduler(now_ns, scheduler); });
}

void
Network::SetLinkAdaptation(int64_t at_ns, const nr::LinkAdaptationConfig& link)
{
    m_impl->ChangeCell(at_ns, [link](nr::Cell& cell, int64_t now_ns) { cell.SetLink(now_ns, link); });
}

} // namespace cosim
