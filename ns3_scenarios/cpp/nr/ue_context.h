// SPDX-License-Identifier: GPL-2.0-only
//
// What a cell keeps of each UE beside its buffers.
#pragma once

#include "drx.h"
#include "link.h"
#include "ue_mac.h"

#include <cstdint>
#include <deque>

namespace cosim::nr
{

struct UeContext
{
    UeContext(const CellConfig& config, int32_t ue, const Frame& frame, Buffers& buffers, RadioKpis& kpis)
        : link(config, config.ues[static_cast<size_t>(ue)], frame),
          mac(config, ue, frame, buffers, kpis),
          drx(config.drx)
    {
    }

    Link link;
    UeMac mac;
    Drx drx;
    int64_t interrupted_until_ns{0};

    bool Interrupted(int64_t t_ns) const
    {
        return t_ns < interrupted_until_ns;
    }
};

using UeContexts = std::deque<UeContext>;

} // namespace cosim::nr
