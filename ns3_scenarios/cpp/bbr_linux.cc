// SPDX-License-Identifier: GPL-2.0-only
#include "bbr_linux.h"

#include "ns3/simulator.h"

#include <algorithm>

namespace cosim
{

using namespace ns3;

NS_OBJECT_ENSURE_REGISTERED(BbrLinux);

namespace
{

// Linux: net/ipv4/tcp_bbr.c.
constexpr uint64_t kBandwidthUnit = 1 << 24;
constexpr uint32_t kUnit = 1 << 8;
constexpr uint32_t kHighGain = kUnit * 2885 / 1000 + 1; // 2 / ln 2
constexpr uint32_t kDrainGain = kUnit * 1000 / 2885;
constexpr uint32_t kWindowGain = kUnit * 2;
constexpr std::array<uint32_t, 8> kCycle{kUnit * 5 / 4, kUnit * 3 / 4, kUnit, kUnit, kUnit, kUnit, kUnit, kUnit};
constexpr uint32_t kCycleRandomPhases = 7;
constexpr uint32_t kBandwidthRounds = kCycle.size() + 2;
constexpr uint32_t kInitialWindow = 10;
constexpr uint32_t kMinWindow = 4;
constexpr uint32_t kFullBandwidthRounds = 3;
constexpr uint32_t kExtraAckedRounds = 5;
constexpr uint32_t kEpochAckedLimit = 1 << 20;
constexpr uint64_t kExtraAckedLimitUs = 100'000;
constexpr double kPacingShare = 0.99;
constexpr double kSlowRate = 1.2e6 / 8;      // bytes per s; below it a burst is one segment
constexpr double kBurstsPerSecond = 1 << 10; // sk_pacing_shift
constexpr uint32_t kBurstBytes = 65'536 - 1 - 320; // GSO_LEGACY_MAX_SIZE less MAX_TCP_HEADER
const Time kMinRttWindow = Seconds(10);
const Time kProbeRttTime = MilliSeconds(200);

} // namespace

TypeId
BbrLinux::GetTypeId()
{
    static TypeId tid = TypeId("cosim::BbrLinux").SetParent<TcpCongestionOps>().AddConstructor<BbrLinux>();
    return tid;
}

BbrLinux::BbrLinux()
    : m_random(0, ""),
      m_bandwidth(kBandwidthRounds, 0, 0),
      m_pacing_gain(kHighGain),
      m_window_gain(kHighGain)
{
}

void
BbrLinux::SetRandom(const RandomStream& random)
{
    m_random = random;
}

void
BbrLinux::SetRate(Ptr<BbrRate> rate)
{
    m_rate = std::move(rate);
}

std::string
BbrLinux::GetName() const
{
    return "BbrLinux";
}

bool
BbrLinux::HasCongControl() const
{
    return true;
}

Ptr<TcpCongestionOps>
BbrLinux::Fork()
{
    return CopyObject<BbrLinux>(this);
}

double
BbrLinux::PacingRate() const
{
    return m_pacing_rate;
}

uint32_t
BbrLinux::BurstSegments() const
{
    const uint32_t least = m_pacing_rate < kSlowRate ? 1 : 2;
    const auto bytes = static_cast<uint32_t>(std::min<double>(m_pacing_rate / kBurstsPerSecond, kBurstBytes));
    return std::max(bytes / m_segment_size, least);
}

/// Linux: bbr_init(), once the handshake is done.
void
BbrLinux::Begin(State tcb)
{
    m_begun = true;
    m_segment_size = tcb->m_segmentSize;
    m_window = tcb->GetCwndInSegments();
    m_min_rtt_stamp = Simulator::Now();
    m_epoch = Simulator::Now();
    SetPacingRate(tcb, m_pacing_gain);
}

void
BbrLinux::CongControl(State tcb, const TcpRateOps::TcpRateConnection&, const Sample& sample)
{
    UpdateBandwidth(sample);
    UpdateAckAggregation(tcb, sample);
    UpdateCyclePhase(sample);
    CheckFullBandwidth(sample);
    CheckDrain(tcb);
    UpdateMinRtt(tcb, sample);
    UpdateGains();
    SetPacingRate(tcb, m_pacing_gain);
    SetWindow(tcb, sample);
}

void
BbrLinux::IncreaseWindow(State, uint32_t)
{
    // ns-3 asks for Reno's growth in CA_LOSS too.
}

uint32_t
BbrLinux::GetSsThresh(Ptr<const TcpSocketState> tcb, uint32_t)
{
    return tcb->m_ssThresh;
}

void
BbrLinux::CongestionStateSet(State tcb, const TcpSocketState::TcpCongState_t state)
{
    if (!m_begun)
    {
        Begin(tcb);
    }
    if (state == TcpSocketState::CA_RECOVERY)
    {
        SaveWindow();
    }
    else if (state == TcpSocketState::CA_LOSS)
    {
        SaveWindow();
        m_rate->LossesKnown();
        m_state_before = state;
        m_full_bandwidth = 0;
        m_window = 1; // ns-3 declares all lost: nothing is in flight
    }
}

/// Linux: bbr_cwnd_event_tx_start().
void
BbrLinux::CwndEvent(State tcb, const TcpSocketState::TcpCAEvent_t event)
{
    if (event != TcpSocketState::CA_EVENT_TX_START || !m_rate->AppLimited())
    {
        return;
    }
    m_idle_restart = true;
    m_epoch = Simulator::Now();
    m_epoch_acked = 0;
    if (m_mode == Mode::kProbeBandwidth)
    {
        SetPacingRate(tcb, kUnit);
    }
    else if (m_mode == Mode::kProbeRtt)
    {
        CheckProbeRttDone(tcb);
    }
}

void
BbrLinux::UpdateBandwidth(const Sample& sample)
{
    m_round_start = false;
    const int64_t interval_us = sample.m_interval.GetMicroSeconds();
    if (interval_us <= 0)
    {
        return;
    }
    if (static_cast<int32_t>(sample.m_priorDelivered - m_next_round_delivered) >= 0)
    {
        m_next_round_delivered = m_rate->Delivered();
        ++m_round;
        m_round_start = true;
        m_packet_conservation = false;
    }
    const uint64_t bandwidth = Segments(sample.m_delivered) * kBandwidthUnit / interval_us;
    if (!sample.m_isAppLimited || bandwidth >= m_bandwidth.GetBest())
    {
        m_bandwidth.Update(bandwidth, m_round);
    }
}

/// How many segments more than the bandwidth explains were acknowledged in an epoch.
void
BbrLinux::UpdateAckAggregation(State tcb, const Sample& sample)
{
    if (sample.m_ackedSacked == 0 || sample.m_interval.IsZero())
    {
        return;
    }
    if (m_round_start && ++m_extra_acked_rounds >= kExtraAckedRounds)
    {
        m_extra_acked_rounds = 0;
        m_extra_acked_slot ^= 1;
        m_extra_acked[m_extra_acked_slot] = 0;
    }
    const Time now = Simulator::Now();
    uint64_t expected = m_bandwidth.GetBest() * (now - m_epoch).GetMicroSeconds() / kBandwidthUnit;
    const uint32_t acked = Segments(sample.m_ackedSacked);
    if (m_epoch_acked <= expected || m_epoch_acked + acked >= kEpochAckedLimit)
    {
        m_epoch = now;
        m_epoch_acked = 0;
        expected = 0;
    }
    m_epoch_acked += acked;
    const uint32_t extra = std::min(m_epoch_acked - static_cast<uint32_t>(expected), m_window);
    m_extra_acked[m_extra_acked_slot] = std::max(m_extra_acked[m_extra_acked_slot], extra);
}

void
BbrLinux::UpdateCyclePhase(const Sample& sample)
{
    if (m_mode == Mode::kProbeBandwidth && IsNextCyclePhase(sample))
    {
        AdvanceCyclePhase();
    }
}

bool
BbrLinux::IsNextCyclePhase(const Sample& sample) const
{
    const bool full_length = (Simulator::Now() - m_phase_stamp).GetMicroSeconds() > m_min_rtt_us;
    if (m_pacing_gain == kUnit)
    {
        return full_length;
    }
    const uint32_t in_flight = Segments(sample.m_priorInFlight);
    if (m_pacing_gain > kUnit)
    {
        return full_length && (sample.m_bytesLoss > 0 || in_flight + BurstSegments() >= InFlight(m_pacing_gain));
    }
    return full_length || in_flight <= InFlight(kUnit);
}

void
BbrLinux::AdvanceCyclePhase()
{
    m_phase = (m_phase + 1) % kCycle.size();
    m_phase_stamp = Simulator::Now();
}

void
BbrLinux::EnterProbeBandwidth()
{
    m_mode = Mode::kProbeBandwidth;
    m_phase = kCycle.size() - 1 - static_cast<uint32_t>(m_random.Uniform() * kCycleRandomPhases);
    AdvanceCyclePhase();
}

/// The pipe is full once three rounds that the application did not limit have not raised the bandwidth by a quarter.
void
BbrLinux::CheckFullBandwidth(const Sample& sample)
{
    if (m_full || !m_round_start || sample.m_isAppLimited)
    {
        return;
    }
    if (m_bandwidth.GetBest() >= m_full_bandwidth * 5 / 4)
    {
        m_full_bandwidth = m_bandwidth.GetBest();
        m_full_count = 0;
        return;
    }
    m_full = ++m_full_count >= kFullBandwidthRounds;
}

void
BbrLinux::CheckDrain(State tcb)
{
    if (m_mode == Mode::kStartup && m_full)
    {
        m_mode = Mode::kDrain;
        tcb->m_ssThresh = InFlight(kUnit) * m_segment_size;
    }
    if (m_mode == Mode::kDrain && Segments(tcb->m_bytesInFlight) <= InFlight(kUnit))
    {
        EnterProbeBandwidth();
    }
}

void
BbrLinux::UpdateMinRtt(State tcb, const Sample& sample)
{
    const Time now = Simulator::Now();
    const bool expired = now > m_min_rtt_stamp + kMinRttWindow;
    const int64_t rtt_us = m_rate->RttUs();
    if (rtt_us >= 0 &&
        (m_min_rtt_us < 0 || rtt_us < m_min_rtt_us || (expired && !m_rate->AckMayBeDelayed(m_segment_size))))
    {
        m_min_rtt_us = rtt_us;
        m_min_rtt_stamp = now;
    }
    if (expired && !m_idle_restart && m_mode != Mode::kProbeRtt)
    {
        m_mode = Mode::kProbeRtt;
        SaveWindow();
        m_probe_rtt_done = Time(0);
    }
    if (m_mode == Mode::kProbeRtt)
    {
        ProbeRtt(tcb);
    }
    if (sample.m_delivered > 0)
    {
        m_idle_restart = false;
    }
}

/// 200 ms and one round with four segments in flight.
void
BbrLinux::ProbeRtt(State tcb)
{
    m_rate->MarkAppLimited(tcb->m_bytesInFlight);
    if (m_probe_rtt_done.IsZero() && Segments(tcb->m_bytesInFlight) <= kMinWindow)
    {
        m_probe_rtt_done = Simulator::Now() + kProbeRttTime;
        m_probe_rtt_round_done = false;
        m_next_round_delivered = m_rate->Delivered();
    }
    else if (!m_probe_rtt_done.IsZero())
    {
        m_probe_rtt_round_done = m_probe_rtt_round_done || m_round_start;
        if (m_probe_rtt_round_done)
        {
            CheckProbeRttDone(tcb);
        }
    }
}

void
BbrLinux::CheckProbeRttDone(State tcb)
{
    if (m_probe_rtt_done.IsZero() || Simulator::Now() <= m_probe_rtt_done)
    {
        return;
    }
    m_min_rtt_stamp = Simulator::Now();
    m_window = std::max(m_window, m_window_before);
    StoreWindow(tcb);
    if (m_full)
    {
        EnterProbeBandwidth();
    }
    else
    {
        m_mode = Mode::kStartup;
    }
}

void
BbrLinux::UpdateGains()
{
    switch (m_mode)
    {
    case Mode::kStartup:
        m_pacing_gain = kHighGain;
        m_window_gain = kHighGain;
        break;
    case Mode::kDrain:
        m_pacing_gain = kDrainGain;
        m_window_gain = kHighGain;
        break;
    case Mode::kProbeBandwidth:
        m_pacing_gain = kCycle[m_phase];
        m_window_gain = kWindowGain;
        break;
    case Mode::kProbeRtt:
        m_pacing_gain = kUnit;
        m_window_gain = kUnit;
        break;
    }
}

double
BbrLinux::PacingRate(uint64_t bandwidth, uint32_t gain) const
{
    return static_cast<double>(bandwidth) / kBandwidthUnit * m_segment_size * gain / kUnit * 1e6 * kPacingShare;
}

/// Until the first RTT is known, as if it were 1 ms.
void
BbrLinux::SetPacingRate(State tcb, uint32_t gain)
{
    const int64_t srtt_us = tcb->m_srtt.Get().GetMicroSeconds();
    if (!m_has_seen_rtt)
    {
        m_has_seen_rtt = srtt_us > 0;
        m_pacing_rate = PacingRate(m_window * kBandwidthUnit / (m_has_seen_rtt ? srtt_us : 1'000), kHighGain);
    }
    const double rate = PacingRate(m_bandwidth.GetBest(), gain);
    if (m_full || rate > m_pacing_rate)
    {
        m_pacing_rate = rate;
    }
    tcb->m_pacingRate = DataRate(static_cast<uint64_t>(m_pacing_rate * 8));
}

void
BbrLinux::SetWindow(State tcb, const Sample& sample)
{
    const uint32_t acked = Segments(sample.m_ackedSacked);
    if (acked > 0 && !RecoverOrRestore(tcb, sample, acked))
    {
        const uint32_t target = WithBudget(BandwidthDelayProduct(m_window_gain) + AckAggregationWindow());
        if (m_full)
        {
            m_window = std::min(m_window + acked, target);
        }
        else if (m_window < target || m_rate->Delivered() < kInitialWindow * m_segment_size)
        {
            m_window += acked;
        }
        m_window = std::max(m_window, kMinWindow);
    }
    if (m_mode == Mode::kProbeRtt)
    {
        m_window = std::min(m_window, kMinWindow);
    }
    StoreWindow(tcb);
}

/// As many segments out as come in during the first round of a recovery; whether that settles the window.
bool
BbrLinux::RecoverOrRestore(State tcb, const Sample& sample, uint32_t acked)
{
    const auto state = tcb->m_congState.Get();
    const uint32_t in_flight = Segments(tcb->m_bytesInFlight);
    const uint32_t lost = Segments(sample.m_bytesLoss);
    m_window = m_window > lost ? m_window - lost : 1;
    if (state == TcpSocketState::CA_RECOVERY && m_state_before != TcpSocketState::CA_RECOVERY)
    {
        m_packet_conservation = true;
        m_next_round_delivered = m_rate->Delivered();
        m_window = in_flight + acked;
    }
    else if (m_state_before >= TcpSocketState::CA_RECOVERY && state < TcpSocketState::CA_RECOVERY)
    {
        m_window = std::max(m_window, m_window_before);
        m_packet_conservation = false;
    }
    m_state_before = state;
    if (m_packet_conservation)
    {
        m_window = std::max(m_window, in_flight + acked);
    }
    return m_packet_conservation;
}

void
BbrLinux::StoreWindow(State tcb) const
{
    tcb->m_cWnd = m_window * m_segment_size;
    tcb->m_cWndInfl = tcb->m_cWnd.Get();
}

/// The last good window, to come back to after a recovery or PROBE_RTT.
void
BbrLinux::SaveWindow()
{
    const bool good = m_state_before < TcpSocketState::CA_RECOVERY && m_mode != Mode::kProbeRtt;
    m_window_before = good ? m_window : std::max(m_window_before, m_window);
}

uint32_t
BbrLinux::BandwidthDelayProduct(uint32_t gain) const
{
    if (m_min_rtt_us < 0)
    {
        return kInitialWindow;
    }
    const uint64_t product = (m_bandwidth.GetBest() * m_min_rtt_us * gain) / kUnit;
    return static_cast<uint32_t>((product + kBandwidthUnit - 1) / kBandwidthUnit);
}

/// Room for three bursts in the hosts, an even number of segments, and something to probe with.
uint32_t
BbrLinux::WithBudget(uint32_t segments) const
{
    segments += 3 * BurstSegments();
    segments = (segments + 1) & ~1U;
    return m_mode == Mode::kProbeBandwidth && m_phase == 0 ? segments + 2 : segments;
}

uint32_t
BbrLinux::InFlight(uint32_t gain) const
{
    return WithBudget(BandwidthDelayProduct(gain));
}

uint32_t
BbrLinux::AckAggregationWindow() const
{
    if (!m_full)
    {
        return 0;
    }
    const auto limit = static_cast<uint32_t>(m_bandwidth.GetBest() * kExtraAckedLimitUs / kBandwidthUnit);
    return std::min(std::max(m_extra_acked[0], m_extra_acked[1]), limit);
}

uint32_t
BbrLinux::Segments(uint32_t n_bytes) const
{
    return (n_bytes + m_segment_size - 1) / m_segment_size;
}

} // namespace cosim
