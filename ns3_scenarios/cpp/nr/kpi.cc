// SPDX-License-Identifier: GPL-2.0-only
#include "kpi.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace cosim::nr
{

namespace
{

/// -1 where nothing was there to measure.
double
Mean(int64_t sum, int64_t count, double unit = 1)
{
    return count > 0 ? static_cast<double>(sum) / static_cast<double>(count) / unit : -1;
}

constexpr double kNsPerMs = 1e6;

} // namespace

void
RadioKpis::Window::Add(const Window& other)
{
    rb_symbols += other.rb_symbols;
    mcs += other.mcs;
    first_transmissions += other.first_transmissions;
    failed_first += other.failed_first;
    ended_rounds += other.ended_rounds;
    ended_tbs += other.ended_tbs;
    sinr_db += other.sinr_db;
    sinrs += other.sinrs;
    delivered_bytes += other.delivered_bytes;
    dropped_packets += other.dropped_packets;
    sr_wait_ns += other.sr_wait_ns;
    sr_waits += other.sr_waits;
    grant_wait_ns += other.grant_wait_ns;
    grant_waits += other.grant_waits;
}

bool
RadioKpis::Window::Empty() const
{
    return sinrs == 0 && delivered_bytes == 0 && max_queue_bytes == 0 && dropped_packets == 0 && sr_waits == 0 && grant_waits == 0;
}

RadioKpis::RadioKpis(const CellConfig& config, const Frame& frame)
    : m_window_ns(config.kpi_window_ns),
      m_max_transmissions(config.harq.max_transmissions),
      m_slot_ns(frame.SlotNs()),
      m_end_ns(config.kpi_window_ns),
      m_windows(2 * (config.ues.size() + 1)),
      m_waiting_bytes(m_windows.size())
{
    int64_t ul = 0;
    int64_t dl = 0;
    for (int64_t slot = 0; slot < frame.Period(); ++slot)
    {
        m_ul_rb_symbols.push_back(ul += int64_t{config.carrier.ul_rbs} * frame.UlSymbols(slot));
        m_dl_rb_symbols.push_back(dl += int64_t{config.carrier.dl_rbs} * frame.DlSymbols(slot));
    }
}

void
RadioKpis::Transmitted(int64_t t_ns, const Transmission& transmission, double sinr_db)
{
    Window& window = At(t_ns, transmission.ue, transmission.up);
    window.rb_symbols += int64_t{transmission.rbs} * transmission.symbols;
    window.sinr_db += sinr_db;
    ++window.sinrs;
    if (transmission.round == 1)
    {
        window.mcs += transmission.mcs;
        ++window.first_transmissions;
        window.failed_first += transmission.decoded ? 0 : 1;
    }
    if (transmission.decoded || transmission.round >= m_max_transmissions)
    {
        window.ended_rounds += transmission.round;
        ++window.ended_tbs;
    }
}

void
RadioKpis::Delivered(int64_t t_ns, int32_t ue, bool up, int64_t n_bytes)
{
    At(t_ns, ue, up).delivered_bytes += n_bytes;
}

void
RadioKpis::Queue(int64_t t_ns, int32_t ue, bool up, int64_t waiting_bytes)
{
    Window& window = At(t_ns, ue, up);
    Window& cell = m_windows[up ? 0 : 1];
    int64_t& waiting = m_waiting_bytes[Index(ue, up)];
    int64_t& cell_waiting = m_waiting_bytes[up ? 0 : 1];
    cell_waiting += waiting_bytes - waiting;
    waiting = waiting_bytes;
    window.max_queue_bytes = std::max(window.max_queue_bytes, waiting);
    cell.max_queue_bytes = std::max(cell.max_queue_bytes, cell_waiting);
}

void
RadioKpis::Dropped(int64_t t_ns, int32_t ue, bool up, int64_t packets)
{
    At(t_ns, ue, up).dropped_packets += packets;
}

void
RadioKpis::SrWaited(int64_t t_ns, int32_t ue, int64_t wait_ns)
{
    Window& window = At(t_ns, ue, true);
    window.sr_wait_ns += wait_ns;
    ++window.sr_waits;
}

void
RadioKpis::GrantWaited(int64_t t_ns, int32_t ue, int64_t wait_ns)
{
    Window& window = At(t_ns, ue, true);
    window.grant_wait_ns += wait_ns;
    ++window.grant_waits;
}

std::vector<RadioSample>
RadioKpis::Take(int64_t now_ns, bool cut)
{
    MoveTo(now_ns);
    if (cut && now_ns > m_start_ns)
    {
        Close(now_ns);
    }
    return std::exchange(m_samples, {});
}

void
RadioKpis::MoveTo(int64_t t_ns)
{
    while (m_end_ns < t_ns)
    {
        if (m_start_ns < m_end_ns)
        {
            Close(m_end_ns);
        }
        if (m_waiting_bytes[0] == 0 && m_waiting_bytes[1] == 0)
        {
            m_end_ns = (t_ns + m_window_ns - 1) / m_window_ns * m_window_ns;
            m_start_ns = m_end_ns - m_window_ns;
        }
        else
        {
            m_end_ns += m_window_ns;
        }
    }
}

/// The window ends, and one begins that ends when this one should have.
void
RadioKpis::Close(int64_t t_ns)
{
    for (size_t i = 2; i < m_windows.size(); ++i)
    {
        m_windows[i % 2].Add(m_windows[i]);
    }
    for (size_t i = 0; i < m_windows.size(); ++i)
    {
        if (!m_windows[i].Empty())
        {
            Sample(t_ns, static_cast<int32_t>(i / 2) - 1, i % 2 == 0, m_windows[i]);
        }
        m_windows[i] = Window{};
        m_windows[i].max_queue_bytes = m_waiting_bytes[i];
    }
    m_start_ns = t_ns;
}

void
RadioKpis::Sample(int64_t t_ns, int32_t ue, bool up, const Window& window)
{
    const int64_t rb_symbols = RbSymbols(t_ns, up) - RbSymbols(m_start_ns, up);
    RadioSample sample;
    sample.t_ns = t_ns;
    sample.ue = ue;
    sample.up = up;
    sample.prb_share = rb_symbols > 0 ? Mean(window.rb_symbols, rb_symbols) : 0;
    sample.mcs_mean = Mean(window.mcs, window.first_transmissions);
    sample.bler = Mean(window.failed_first, window.first_transmissions);
    sample.harq_rounds_mean = Mean(window.ended_rounds, window.ended_tbs);
    sample.sinr_db = window.sinrs > 0 ? window.sinr_db / static_cast<double>(window.sinrs) : std::numeric_limits<double>::quiet_NaN();
    sample.delivered_bytes = window.delivered_bytes;
    sample.max_queue_bytes = window.max_queue_bytes;
    sample.dropped_packets = window.dropped_packets;
    sample.sr_wait_ms_mean = Mean(window.sr_wait_ns, window.sr_waits, kNsPerMs);
    sample.grant_wait_ms_mean = Mean(window.grant_wait_ns, window.grant_waits, kNsPerMs);
    m_samples.push_back(sample);
}

/// RB-symbols for data of all slots that began before a time; a transmission may end, and count, before its slot does.
int64_t
RadioKpis::RbSymbols(int64_t t_ns, bool up) const
{
    const std::vector<int64_t>& rb_symbols = up ? m_ul_rb_symbols : m_dl_rb_symbols;
    const int64_t slots = (t_ns + m_slot_ns - 1) / m_slot_ns;
    const auto period = static_cast<int64_t>(rb_symbols.size());
    const int64_t rest = slots % period;
    return slots / period * rb_symbols.back() + (rest > 0 ? rb_symbols[rest - 1] : 0);
}

} // namespace cosim::nr
