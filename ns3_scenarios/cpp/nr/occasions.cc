// SPDX-License-Identifier: GPL-2.0-only
#include "occasions.h"

namespace cosim::nr
{

namespace
{

int64_t
PuschFrom(const Frame& frame, int64_t slot)
{
    while (frame.UlSymbols(slot) == 0)
    {
        ++slot;
    }
    return slot;
}

/// `from`: the first slot that can carry the resource, at or after one.
template <typename From>
int64_t
Occasion(int64_t slot, int64_t period, int64_t offset, const From& from)
{
    const int64_t since = slot - offset % period;
    const int64_t latest = slot - (since % period + period) % period; // the period's slot that is not after `slot`
    const int64_t moved = from(latest);
    return moved >= slot ? moved : from(latest + period);
}

} // namespace

int64_t
PucchOccasion(const Frame& frame, int64_t slot, int64_t period, int64_t offset)
{
    return Occasion(slot, period, offset, [&frame](int64_t from) { return frame.PucchFrom(from); });
}

int64_t
PuschOccasion(const Frame& frame, int64_t slot, int64_t period, int64_t offset)
{
    return Occasion(slot, period, offset, [&frame](int64_t from) { return PuschFrom(frame, from); });
}

} // namespace cosim::nr
