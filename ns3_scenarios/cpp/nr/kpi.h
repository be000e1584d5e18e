// SPDX-License-Identifier: GPL-2.0-only
//
// What each UE and direction of a cell did in each window of virtual time.
#pragma once

#include "cell.h"
#include "config.h"
#include "frame.h"

#include <cstdint>
#include <vector>

namespace cosim::nr
{

/// Windows of `kpi_window_ns` from time 0 on; an instant on a boundary belongs to the window that it ends. A UE and
/// direction without anything in a window gives no sample; `ue` -1 is the cell: sums, and means over all UEs.
///
/// Nothing is scheduled: a window is closed at the first call for a later time. Calls come in order of time.
class RadioKpis
{
  public:
    RadioKpis(const CellConfig& config, const Frame& frame);

    /// A transmission ends on the air, at the latest with its slot. Retransmissions count in the PRB share and HARQ rounds alone.
    void Transmitted(int64_t t_ns, const Transmission& transmission, double sinr_db);

    /// Bytes leave the access network (background: are decoded).
    void Delivered(int64_t t_ns, int32_t ue, bool up, int64_t n_bytes);

    /// `waiting_bytes` wait from now on.
    void Queue(int64_t t_ns, int32_t ue, bool up, int64_t waiting_bytes);

    void Dropped(int64_t t_ns, int32_t ue, bool up, int64_t packets = 1);

    /// Uplink: a wait from data that found no grant to its SR, and from there to the first PUSCH, has ended.
    void SrWaited(int64_t t_ns, int32_t ue, int64_t wait_ns);
    void GrantWaited(int64_t t_ns, int32_t ue, int64_t wait_ns);

    /// Close the windows that ended before now, and with `cut` the one under way, at now; give and forget the samples,
    /// in order of time, UE (the cell first) and direction (uplink first).
    std::vector<RadioSample> Take(int64_t now_ns, bool cut);

  private:
    /// Sums of a window.
    struct Window
    {
        int64_t rb_symbols{0};
        int64_t mcs{0};
        int64_t first_transmissions{0};
        int64_t failed_first{0};
        int64_t ended_rounds{0};
        int64_t ended_tbs{0};
        double sinr_db{0};
        int64_t sinrs{0};
        int64_t delivered_bytes{0};
        int64_t max_queue_bytes{0};
        int64_t dropped_packets{0};
        int64_t sr_wait_ns{0};
        int64_t sr_waits{0};
        int64_t grant_wait_ns{0};
        int64_t grant_waits{0};

        void Add(const Window& other);
        bool Empty() const;
    };

    Window& At(int64_t t_ns, int32_t ue, bool up)
    {
        if (t_ns > m_end_ns)
        {
            MoveTo(t_ns);
        }
        return m_windows[Index(ue, up)];
    }

    static size_t Index(int32_t ue, bool up)
    {
        return 2 * static_cast<size_t>(ue + 1) + (up ? 0 : 1);
    }

    void MoveTo(int64_t t_ns);
    void Close(int64_t t_ns);
    void Sample(int64_t t_ns, int32_t ue, bool up, const Window& window);
    int64_t RbSymbols(int64_t t_ns, bool up) const;

    int64_t m_window_ns;
    int32_t m_max_transmissions;
    int64_t m_slot_ns;
    std::vector<int64_t> m_ul_rb_symbols; // of the slots of a pattern up to and with each
    std::vector<int64_t> m_dl_rb_symbols;
    int64_t m_start_ns{0};
    int64_t m_end_ns;
    std::vector<Window> m_windows; // uplink and downlink of the cell (summed up when it closes), then of each UE
    std::vector<int64_t> m_waiting_bytes;
    std::vector<RadioSample> m_samples;
};

} // namespace cosim::nr
