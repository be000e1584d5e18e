// SPDX-License-Identifier: GPL-2.0-only
#include "drx.h"

#include <algorithm>
#include <stdexcept>

namespace cosim::nr
{

Drx::Drx(const DrxConfig& config, int64_t offset_ns)
    : m_config(config)
{
    if (config.cycle_ns < 0 || (config.cycle_ns > 0 && (config.on_ns < 1 || config.on_ns > config.cycle_ns)))
    {
        throw std::invalid_argument("a DRX cycle needs an on-duration of at least 1 ns and at most the cycle");
    }
    m_offset_ns = config.cycle_ns > 0 ? offset_ns % config.cycle_ns : 0;
}

void
Drx::Activity(int64_t t_ns)
{
    m_inactive_ns = std::max(m_inactive_ns, t_ns + m_config.inactivity_ns);
}

int64_t
Drx::NextOnNs(int64_t t_ns) const
{
    // The cycle before the first offset counts too.
    const int64_t since_on_ns = (t_ns - m_offset_ns + m_config.cycle_ns) % m_config.cycle_ns;
    const int64_t on_ns = t_ns - since_on_ns;
    return since_on_ns < m_config.on_ns ? on_ns : on_ns + m_config.cycle_ns;
}

} // namespace cosim::nr
