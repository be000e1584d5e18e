"""An exchange on the kernel's own TCP: two network namespaces joined by a link in user space.

Needs root, /dev/net/tun and `ip`. The namespaces have no names and belong to processes that die with their parent, so
nothing is left behind however this ends. The link and both hosts run with real-time priority.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.child import environment
from benchmarks.errors import RigError
from benchmarks.tcp_rig.exchange import Exchange
from benchmarks.tcp_rig.tun_link import LinkSide, TunLink
from cosim.clock import NS_PER_MS, NS_PER_S, monotonic_ns, sleep_s

TUN = Path("/dev/net/tun")
# From the kernel's headers: linux/if_tun.h, linux/sched.h, linux/prctl.h.
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_PRIORITY = 50
_PORT = 9_000
_ADDRESSES = {"client": "10.77.0.1", "server": "10.77.0.2"}
_DEVICE = "tun0"
_QUEUE_PACKETS = "20000"
LONGEST_S = 300.0


@dataclass(frozen=True)
class Measurement:
    """Milliseconds of each measured message, and the worst lateness of the link in each."""

    message_ms: list[float]
    late_ms: list[float]
    dropped: int


def missing(congestion_control: str = "cubic") -> str | None:
    """What this machine lacks for the rig; None if nothing."""
    if not sys.platform.startswith("linux"):
        return "the rig needs Linux"
    if os.geteuid() != 0:
        return "the rig needs root"
    if not TUN.exists():
        return f"the rig needs {TUN}"
    if shutil.which("ip") is None:
        return "the rig needs ip (apt-get install iproute2)"
    try:
        os.close(_open_tun("")[0])
    except OSError as error:
        return f"the rig cannot open {TUN}: {error.strerror}"
    available = Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split()
    if congestion_control not in available:
        return f"this kernel has no {congestion_control}; type: modprobe tcp_{congestion_control}"
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode:
        return "the rig needs the right to make network namespaces (CAP_SYS_ADMIN)"
    return None


def measure(exchange: Exchange, *, pcap: Path | None = None) -> Measurement:
    """Run an exchange in a process of its own. Raises RigError."""
    if (lack := missing(exchange.congestion_control)) is not None:
        raise RigError(lack)
    request = json.dumps({"exchange": asdict(exchange), "pcap": None if pcap is None else str(pcap)})
    command = [sys.executable, "-m", "benchmarks.tcp_rig.on_linux", request]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=LONGEST_S, check=False, env=environment()
        )
    except subprocess.TimeoutExpired:
        raise RigError(f"the exchange took longer than {LONGEST_S:.0f} s") from None
    if done.returncode != 0:
        raise RigError(f"the rig failed:\n{done.stderr.strip()}")
    return Measurement(**json.loads(done.stdout.splitlines()[-1]))


def _open_tun(name: str) -> tuple[int, str]:
    """A TUN device of this network namespace, which lasts as long as the file descriptor; and its name."""
    descriptor = os.open(TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        made = fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor, made[:16].rstrip(b"\0").decode()


def _libc(function: str, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, stdin=subprocess.DEVNULL)


def _host(role: str, exchange: Exchange, control: socket.socket) -> None:
    """In a new process: make the namespace, hand its TUN device to the link, then be the client or the server."""
    _libc("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _libc("unshare", _CLONE_NEWNET)
    descriptor, name = _open_tun(_DEVICE)
    _ip("addr", "add", f"{_ADDRESSES[role]}/24", "dev", name)
    _ip("link", "set", name, "mtu", str(exchange.mtu_bytes), "txqueuelen", _QUEUE_PACKETS, "up")
    _ip("link", "set", "lo", "up")
    # /proc/sys/net is that of the namespace.
    Path("/proc/sys/net/ipv4/tcp_slow_start_after_idle").write_text(str(int(exchange.idle_restart)))
    socket.send_fds(control, [b"ready"], [descriptor])
    os.close(descriptor)
    control.recv(1)
    if role == "server":
        _serve(exchange)
    else:
        control.sendall(json.dumps(_ask(exchange)).encode())


def _keep_awake() -> None:
    """In a new process: spin where nothing else wants to run.

    A CPU that sleeps wakes late. The kernel's HyStart takes late acknowledgements for a queue and leaves slow start, in
    more than half of the measurements of a quiet machine.
    """
    _libc("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    while True:
        pass


def _serve(exchange: Exchange) -> None:
    listener = _socket(exchange)
    listener.bind(("", _PORT))
    listener.listen()
    connection, _ = listener.accept()
    reply = b"x" * exchange.reply_bytes
    sizes = [exchange.warmup_bytes] * bool(exchange.warmup_bytes) + [exchange.size_bytes] * exchange.messages
    for left in sizes:
        while left > 0:
            left -= len(connection.recv(min(left, 1 << 20)))
        connection.sendall(reply)
    connection.recv(1)  # until the client is done


def _ask(exchange: Exchange) -> list[tuple[int, int]]:
    """When each measured message was sent and when its reply was back, on the monotonic clock."""
    client = _connect(exchange)
    request = b"y" * max(exchange.size_bytes, exchange.warmup_bytes)

    def message(n_bytes: int) -> tuple[int, int]:
        start_ns, left = monotonic_ns(), exchange.reply_bytes
        client.sendall(memoryview(request)[:n_bytes])
        while left > 0:
            received = len(client.recv(65_536))
            if received == 0:
                raise RigError("the server closed the connection")
            left -= received
        return start_ns, monotonic_ns()

    if exchange.warmup_bytes:
        message(exchange.warmup_bytes)
    result: list[tuple[int, int]] = []
    due_ns = monotonic_ns()
    for index in range(exchange.messages):
        if exchange.period_ns is None:
            sleep_s(exchange.gap_ns(index) / NS_PER_S)
        else:
            sleep_s(max(0, due_ns - monotonic_ns()) / NS_PER_S)
            due_ns += exchange.period_ns
        result.append(message(exchange.size_bytes))
    return result


def _socket(exchange: Exchange) -> socket.socket:
    """What is set here is inherited by the connections that a listener accepts."""
    made = socket.socket()
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, exchange.congestion_control.encode())
    return made


def _connect(exchange: Exchange) -> socket.socket:
    while True:
        client = _socket(exchange)
        try:
            client.connect((_ADDRESSES["server"], _PORT))
        except ConnectionRefusedError:
            client.close()
            sleep_s(0.05)  # the server does not listen yet
            continue
        return client


def _fork(function: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            function()
            status = 0
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(status)
    return pid


def _drops(exchange: Exchange) -> tuple[int | None, int | None]:
    """The bytes of the two streams whose first packet is lost."""
    warm = bool(exchange.warmup_bytes)
    up = exchange.warmup_bytes + (exchange.drop - 1) * exchange.segment_bytes
    down = warm * exchange.reply_bytes + (exchange.drop_reply - 1) * exchange.segment_bytes
    return (up if exchange.drop else None, down if exchange.drop_reply else None)


def _run(exchange: Exchange, pcap: Path | None) -> dict[str, Any]:
    """Start both hosts, carry their packets until the client is done, collect what it measured."""
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
    pids, controls, tuns = [], {}, {}
    try:
        pids += [_fork(_keep_awake) for _ in os.sched_getaffinity(0)]
        for role in _ADDRESSES:
            ours, theirs = socket.socketpair()
            pids.append(_fork(partial(_host, role, exchange, theirs)))
            theirs.close()
            _, descriptors, _, _ = socket.recv_fds(ours, 16, 1)
            if not descriptors:
                raise RigError(f"the {role}'s namespace could not be made")
            controls[role], tuns[role] = ours, descriptors[0]
        drop_up, drop_down = _drops(exchange)
        values = exchange.rate_bps, exchange.delay_ns, exchange.queue_bytes
        up = LinkSide(tuns["client"], tuns["server"], *values, drop_up)
        down = LinkSide(tuns["server"], tuns["client"], *values, drop_down)
        link = TunLink(up, down, pcap=pcap)
        controls["server"].sendall(b"g")
        sleep_s(0.1)
        controls["client"].sendall(b"g")
        link.carry(controls["client"].fileno())
        answer = controls["client"].recv(1 << 20)
        if not answer:
            raise RigError("the client ended without a result")
        times: list[tuple[int, int]] = json.loads(answer)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return {
        "message_ms": [round((end - start) / NS_PER_MS, 3) for start, end in times],
        "late_ms": [round(link.worst_lateness_ns(start, end) / NS_PER_MS, 3) for start, end in times],
        "dropped": up.dropped + down.dropped,
    }


def main() -> int:
    """Carry out one exchange; the result goes to stdout as JSON."""
    _libc("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    request = json.loads(sys.argv[1])
    exchange = Exchange(**request["exchange"])
    try:
        print(json.dumps(_run(exchange, request["pcap"] and Path(request["pcap"]))))
    except (OSError, RigError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
