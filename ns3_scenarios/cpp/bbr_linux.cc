// SPDX-License-Identifier: GPL-2.0-only
#include "bbr_linux.h"

#include "ns3/simulator.h"

#include <algorithm>
#include <array>

namespace cosim
{

using namespace ns3;

NS_OBJECT_ENSURE_REGISTERED(BbrLinux);

namespace
{

// Linux: net/ipv4/tcp_bbr.c.
constexpr uint32_t kHighGain = kBbrUnit * 2885 / 1000 + 1; // 2 / ln 2
constexpr uint32_t kDrainGain = kBbrUnit * 1000 / 2885;
constexpr uint32_t kWindowGain = kBbrUnit * 2;
constexpr std::array<uint32_t, 8> kCycle{
    kBbrUnit * 5 / 4, kBbrUnit * 3 / 4, kBbrUnit, kBbrUnit, kBbrUnit, kBbrUnit, kBbrUnit, kBbrUnit};
constexpr uint32_t kRandomPhases = 7;
constexpr uint32_t kInitialWindow = 10;
constexpr uint32_t kMinWindow = 4;
const Time kProbeRttTime = MilliSeconds(200);

} // namespace

TypeId
BbrLinux::GetTypeId()
{
    static TypeId tid = TypeId("cosim::BbrLinux").SetParent<TcpCongestionOps>().AddConstructor<BbrLinux>();
    return tid;
}

BbrLinux::BbrLinux(uint64_t seed)
    : m_seed(seed),
      m_random(seed, "")
{
}

void
BbrLinux::SetName(const std::string& name)
{
    m_random = RandomStream(m_seed, "bbr/" + name);
}

Ptr<TcpRateOps>
BbrLinux::Follow(Ptr<const TcpTxBuffer> buffer, uint32_t segment_size)
{
    m_rate = CreateObject<BbrRate>(buffer, segment_size);
    return m_rate;
}

void
BbrLinux::ApplicationWrites(Tcb tcb)
{
    if (InFlight(tcb) < m_window)
    {
        m_rate->ApplicationWrites(tcb->m_highTxMark, tcb->m_bytesInFlight);
    }
}

Time
BbrLinux::Sent(uint32_t n_bytes)
{
    m_pacer.Sent(n_bytes);
    return m_pacer.UntilNext();
}

bool
BbrLinux::Holds() const
{
    return m_pacer.Holds();
}

Ptr<TcpCongestionOps>
BbrLinux::Fork()
{
    return CopyObject<BbrLinux>(this);
}

/// Linux: bbr_init().
void
BbrLinux::Begin(Tcb tcb)
{
    m_begun = true;
    m_segment_size = tcb->m_segmentSize;
    m_pacer.SetSegmentSize(m_segment_size);
    m_window = tcb->GetCwndInSegments();
    m_path.Begin();
    UpdateGains();
    SetPacingRate(tcb, m_pacing_gain);
}

/// Linux: bbr_main().
void
BbrLinux::CongControl(Tcb tcb, const TcpRateOps::TcpRateConnection&, const TcpRateOps::TcpRateSample&)
{
    const BbrSample& sample = m_rate->Sample();
    if (sample.nothing_out)
    {
        return; // data came in; Linux asks only when it acknowledges something that is out
    }
    m_path.Update(sample, m_window);
    m_packet_conservation = m_packet_conservation && !m_path.RoundStart();
    if (m_mode == Mode::kProbeBandwidth && IsNextCyclePhase(sample))
    {
        AdvanceCyclePhase();
    }
    m_path.UpdateFull(sample);
    CheckDrain(tcb);
    CheckProbeRtt(tcb, sample);
    UpdateGains();
    SetPacingRate(tcb, m_pacing_gain);
    SetWindow(tcb, sample);
}

uint32_t
BbrLinux::GetSsThresh(Ptr<const TcpSocketState> tcb, uint32_t)
{
    return tcb->m_ssThresh;
}

void
BbrLinux::CongestionStateSet(Tcb tcb, const TcpSocketState::TcpCongState_t state)
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
        m_path.ForgetFullRate();
        m_state_before = state;
        m_window = 1; // all is declared lost, so nothing is in flight
    }
}

/// Linux: bbr_cwnd_event_tx_start().
void
BbrLinux::CwndEvent(Tcb tcb, const TcpSocketState::TcpCAEvent_t event)
{
    if (event != TcpSocketState::CA_EVENT_TX_START || !m_rate->AppLimited())
    {
        return;
    }
    m_idle_restart = true;
    m_path.StartEpoch();
    if (m_mode == Mode::kProbeBandwidth)
    {
        SetPacingRate(tcb, kBbrUnit);
    }
    else if (m_mode == Mode::kProbeRtt)
    {
        CheckProbeRttDone(tcb);
    }
}

bool
BbrLinux::IsNextCyclePhase(const BbrSample& sample) const
{
    const bool full_length = (Simulator::Now() - m_phase_stamp).GetMicroSeconds() > m_path.MinRttUs();
    if (m_pacing_gain == kBbrUnit)
    {
        return full_length;
    }
    const uint32_t in_network = InNetworkAtNextBurst(sample.in_flight_before);
    if (m_pacing_gain > kBbrUnit)
    {
        return full_length && (sample.lost > 0 || in_network >= InFlightTarget(m_pacing_gain));
    }
    return full_length || in_network <= InFlightTarget(kBbrUnit);
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
    m_phase = kCycle.size() - 1 - static_cast<uint32_t>(m_random.Uniform() * kRandomPhases);
    AdvanceCyclePhase();
}

void
BbrLinux::CheckDrain(Tcb tcb)
{
    if (m_mode == Mode::kStartup && m_path.Full())
    {
        m_mode = Mode::kDrain;
        tcb->m_ssThresh = InFlightTarget(kBbrUnit) * m_segment_size;
    }
    if (m_mode == Mode::kDrain && InNetworkAtNextBurst(InFlight(tcb)) <= InFlightTarget(kBbrUnit))
    {
        EnterProbeBandwidth();
    }
}

void
BbrLinux::CheckProbeRtt(Tcb tcb, const BbrSample& sample)
{
    const bool expired = m_path.UpdateMinRtt(sample);
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
    if (sample.interval_us > 0)
    {
        m_idle_restart = false;
    }
}

/// 200 ms and a round with four segments in flight.
void
BbrLinux::ProbeRtt(Tcb tcb)
{
    m_rate->MarkAppLimited(tcb->m_bytesInFlight);
    if (m_probe_rtt_done.IsZero() && InFlight(tcb) <= kMinWindow)
    {
        m_probe_rtt_done = Simulator::Now() + kProbeRttTime;
        m_probe_rtt_round_done = false;
        m_path.StartRound(m_rate->Sample().delivered_ever);
    }
    else if (!m_probe_rtt_done.IsZero())
    {
        m_probe_rtt_round_done = m_probe_rtt_round_done || m_path.RoundStart();
        if (m_probe_rtt_round_done)
        {
            CheckProbeRttDone(tcb);
        }
    }
}

void
BbrLinux::CheckProbeRttDone(Tcb tcb)
{
    if (m_probe_rtt_done.IsZero() || Simulator::Now() <= m_probe_rtt_done)
    {
        return;
    }
    m_path.KeepMinRtt();
    m_window = std::max(m_window, m_window_before);
    StoreWindow(tcb);
    if (m_path.Full())
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
        m_pacing_gain = kBbrUnit;
        m_window_gain = kBbrUnit;
        break;
    }
}

void
BbrLinux::SetPacingRate(Tcb tcb, uint32_t gain)
{
    m_pacer.SetRate(m_path.SegmentsPerSecond(), gain, m_path.Full(), m_window, tcb->m_srtt);
    tcb->m_pacingRate = m_pacer.Rate();
}

void
BbrLinux::SetWindow(Tcb tcb, const BbrSample& sample)
{
    if (sample.acked > 0 && !RecoverOrRestore(tcb, sample))
    {
        const uint32_t target = WithBudget(m_path.BandwidthDelayProduct(m_window_gain) + m_path.AggregationWindow());
        if (m_path.Full())
        {
            m_window = std::min(m_window + sample.acked, target);
        }
        else if (m_window < target || sample.delivered_ever < kInitialWindow)
        {
            m_window += sample.acked;
        }
        m_window = std::max(m_window, kMinWindow);
    }
    if (m_mode == Mode::kProbeRtt)
    {
        m_window = std::min(m_window, kMinWindow);
    }
    StoreWindow(tcb);
}

/// Take off what was lost, and in the first round of a recovery send as many segments as come in; whether it is that.
bool
BbrLinux::RecoverOrRestore(Tcb tcb, const BbrSample& sample)
{
    const auto state = tcb->m_congState.Get();
    const uint32_t conserved = InFlight(tcb) + sample.acked;
    m_window = m_window > sample.lost ? m_window - sample.lost : 1;
    if (state == TcpSocketState::CA_RECOVERY && m_state_before != TcpSocketState::CA_RECOVERY)
    {
        m_packet_conservation = true;
        m_path.StartRound(sample.delivered_ever);
        m_window = conserved;
    }
    else if (m_state_before >= TcpSocketState::CA_RECOVERY && state < TcpSocketState::CA_RECOVERY)
    {
        m_packet_conservation = false;
        m_window = std::max(m_window, m_window_before);
    }
    m_state_before = state;
    if (m_packet_conservation)
    {
        m_window = std::max(m_window, conserved);
    }
    return m_packet_conservation;
}

void
BbrLinux::StoreWindow(Tcb tcb) const
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

/// Room for three bursts in the hosts, an even number of segments, and something to probe with.
uint32_t
BbrLinux::WithBudget(uint32_t segments) const
{
    segments += 3 * m_pacer.BurstSegments();
    segments += segments % 2;
    return m_mode == Mode::kProbeBandwidth && m_phase == 0 ? segments + 2 : segments;
}

uint32_t
BbrLinux::InFlightTarget(uint32_t gain) const
{
    return WithBudget(m_path.BandwidthDelayProduct(gain));
}

/// Linux: bbr_packets_in_net_at_edt().
uint32_t
BbrLinux::InNetworkAtNextBurst(uint32_t in_flight) const
{
    const uint64_t then = in_flight + (m_pacing_gain > kBbrUnit ? m_pacer.BurstSegments() : 0);
    const uint64_t gone = m_path.Delivers(m_pacer.UntilNext().GetMicroSeconds());
    return static_cast<uint32_t>(then - std::min(gone, then));
}

uint32_t
BbrLinux::InFlight(Tcb tcb) const
{
    return m_rate->Segments(tcb->m_bytesInFlight);
}

} // namespace cosim
