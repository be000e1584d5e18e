// SPDX-License-Identifier: GPL-2.0-only
//
// The ns-3 network as Python sees it: plain structs and one class, no ns-3 header, so that cppyy parses it in
// milliseconds. All times are int nanoseconds since the run's epoch.
#pragma once

#include "nr/config.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace cosim
{

/// Loss in bursts; probabilities per packet. Both `loss_` 0: none.
struct GilbertElliott
{
    double good_to_bad{0};
    double bad_to_good{0};
    double loss_good{0};
    double loss_bad{0};
};

/// FlowQueue-CoDel as the queue of a direction. flows 0: one FIFO.
struct FqCodel
{
    int64_t target_ns{0};
    int64_t interval_ns{0};
    int64_t flows{0};
    int64_t quantum_bytes{0};
    int64_t packets{0};
};

/// Times since the run's epoch at which a link delivers, over and over. period_ns 0: it has a rate instead.
struct Opportunities
{
    std::vector<int64_t> times_ns;
    int64_t period_ns{0};
    int64_t bytes_per_opportunity{0};
};

/// One direction of a link. rate_bps 0: no serialisation delay; queue_bytes -1: never drops.
struct Direction
{
    Direction(); // out of line, as Topology's
    ~Direction();
    Direction(const Direction& other);
    Direction& operator=(const Direction& other);

    int64_t delay_ns{0};
    int64_t rate_bps{0};
    int64_t jitter_ns{0};
    double loss{0};
    int64_t queue_bytes{-1};
    double jitter_shape{1};
    int64_t jitter_hold_ns{0};
    GilbertElliott burst_loss;
    FqCodel fq_codel;
    Opportunities opportunities;
};

struct Link
{
    Direction uplink;
    Direction downlink;
};

struct Path
{
    std::string name;
    Link wan;
};

/// Packets that a bearer of the cell carries: those of a path (empty: any), up to a size (-1: any).
struct Flow
{
    std::string bearer;
    std::string path;
    int64_t max_bytes{-1};
};

/// UEs are in a cell (`has_cell`), or each has an access link. `cell.ues`: those of `ues` in the same order, then
/// background ones. The first of `flows` that a packet fits names its bearer; without one it takes the last bearer.
struct Topology
{
    Topology(); // out of line: cppyy would take 0.3 s to compile it, and what it needs
    ~Topology();
    Topology(const Topology& other);

    std::vector<std::string> ues;
    Link access;
    bool has_cell{false};
    nr::CellConfig cell;
    std::vector<Flow> flows;
    Link core;
    std::vector<Path> paths;
    uint32_t mtu_bytes{1500};
    std::string congestion_control{"cubic"};
    bool slow_start_after_idle{true};
    bool tls{true};
    uint64_t seed{1};
    std::string pcap_directory;
};

enum ReportKind : int
{
    kConnected = 0,
    kDelivered = 1,
    kClosed = 2,
    kReset = 3
};

/// What happened: `id` is a message's for kDelivered, otherwise a connection's. `up`: for kClosed, who closed; for
/// kDelivered, which way. The hops are in the order crossed; `access` divides the one over a cell, and is 0 without one.
struct Report
{
    int kind{kConnected};
    int64_t t_ns{0};
    int64_t id{0};
    int64_t emitted_ns{0};
    int64_t hop0_ns{0};
    int64_t hop1_ns{0};
    int64_t hop2_ns{0};
    bool up{true};
    nr::AccessParts access{};
};

/// Application bytes of one direction of a connection: sent == delivered + lost + discarded.
struct ConnectionBytes
{
    int64_t connection{0};
    bool up{true};
    int64_t sent{0};
    int64_t delivered{0};
    int64_t lost{0};
    int64_t discarded{0};
};

/// `packets`: their transmission has begun. `n_bytes`: sent so far, of IP packets. In a cell both count what has crossed
/// it, `dropped_queue` what found RLC's buffer full, and `dropped_loss` what RLC or PDCP gave up.
struct LinkCounters
{
    std::string link;
    bool up{true};
    int64_t packets{0};
    int64_t n_bytes{0};
    int64_t dropped_queue{0};
    int64_t dropped_loss{0};
    int64_t max_queue_bytes{0};
};

/// One direction of a link in the window that ends at `t_ns`; `direction` is its place in `AccountLinks`.
struct LinkSample
{
    int64_t t_ns{0};
    int32_t direction{0};
    int64_t n_bytes{0};
    int64_t max_queue_bytes{0};
    int64_t dropped_packets{0};
};

/// A new last element; for Python, as cppyy would take tens of ms to compile std::vector's functions for each type.
Flow& Append(std::vector<Flow>& list);
nr::SlotShape& Append(std::vector<nr::SlotShape>& list);
nr::BearerConfig& Append(std::vector<nr::BearerConfig>& list);
nr::UeConfig& Append(std::vector<nr::UeConfig>& list);
nr::TracePoint& Append(std::vector<nr::TracePoint>& list);

/// Give a list the numbers of a buffer.
void Assign(std::vector<int64_t>& list, const int64_t* numbers, std::size_t count);

class Nodes;

/// Commands are scheduled at their times; `Advance` executes. Throws std::invalid_argument on what ns-3 would abort
/// on: a time in the past, an unknown name or connection.
class Network
{
  public:
    explicit Network(const Topology& topology);
    ~Network();
    Network(const Network&) = delete;
    Network& operator=(const Network&) = delete;

    void Open(int64_t at_ns, int64_t connection, const std::string& ue, const std::string& path);
    void Send(int64_t at_ns, int64_t connection, int64_t message, int64_t n_bytes, bool up, bool wakes);
    void Close(int64_t at_ns, int64_t connection, bool up, bool wakes);
    void Set(int64_t at_ns, const std::string& link, bool up, const Direction& value);

    /// Of a cell: its UEs, background ones too, and what holds for all. See nr::Cell.
    void SetRadio(int64_t at_ns, const std::string& ue, const nr::RadioConfig& radio);
    void Interrupt(int64_t at_ns, const std::string& ue, int64_t until_ns);
    void SetTraffic(int64_t at_ns, const std::string& ue, bool up, bool present, const nr::TrafficConfig& traffic);
    void SetGrants(int64_t at_ns, const nr::UplinkGrantConfig& grants);
    void SetScheduler(int64_t at_ns, const nr::SchedulerConfig& scheduler);
    void SetLinkAdaptation(int64_t at_ns, const nr::LinkAdaptationConfig& link);

    /// Lose one TCP segment with payload: the `segment`-th, from 1, that the direction is given from `at_ns` on.
    void Lose(int64_t at_ns, const std::string& link, bool up, int64_t segment);

    /// Run to the first consequential report or to `until_ns`, and every event of that instant. Returns the time.
    int64_t Advance(int64_t until_ns);

    /// Reports since the last call, in order of time.
    std::vector<Report> TakeReports();

    std::vector<ConnectionBytes> AccountConnections() const;
    std::vector<LinkCounters> AccountLinks();

    /// What every link did in the windows that have ended since the last call, in order of time and direction; with
    /// `cut` the window under way ends now.
    std::vector<LinkSample> TakeLinkSamples(bool cut);

    /// The same of a cell's UEs; empty without a cell.
    std::vector<nr::RadioSample> TakeRadioSamples(bool cut);

    /// Write out what is buffered for the pcap files.
    void Flush();

    /// For other C++ of this process.
    const Nodes& GetNodes() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

} // namespace cosim
