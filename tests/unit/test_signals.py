"""Ctrl-C and SIGTERM: the first ends a block, the next do nothing, and none breaks a record."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

import pyarrow.parquet
import pytest

from cosim.clock import sleep_s
from cosim.results.records import PromptRecord
from cosim.results.store import RunWriter
from cosim.signals import TerminatedError, first_signal_raises, unbroken, uninterrupted

INTERRUPTIONS = 40


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, TerminatedError)])
def test_only_the_first_signal_raises(number: signal.Signals, error: type[BaseException]) -> None:
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        with first_signal_raises():
            with pytest.raises(error):
                signal.raise_signal(number)
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGINT) == signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def test_without_a_signal_the_handlers_are_those_from_before() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with first_signal_raises():
        assert signal.getsignal(signal.SIGTERM) != before
        with uninterrupted():
            signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


def interrupt_soon(writer: RunWriter, delay_s: float) -> None:
    """Write records until a Ctrl-C from another thread ends it."""

    def interrupt() -> None:
        sleep_s(delay_s)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    with first_signal_raises(), pytest.raises(KeyboardInterrupt):  # noqa: PT012 - it comes anywhere
        thread.start()
        index = 0
        while True:
            index += 1
            writer.step(PromptRecord(f"user-{index:06}", index))
            writer.gauge(index, "edge", "queue", {"index": str(index)}, float(index))
    thread.join()


def test_a_signal_comes_between_two_records(tmp_path: Path) -> None:
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        for index in range(INTERRUPTIONS):
            directory = tmp_path / str(index)
            writer = RunWriter(directory)
            interrupt_soon(writer, 0.001 + index * 0.0005)
            writer.close()
            found = [json.loads(line)["request_id"] for line in (directory / "steps.jsonl").read_text().splitlines()]
            assert found == [f"user-{number:06}" for number in range(1, len(found) + 1)]
            parts = [pyarrow.parquet.read_table(part) for part in (directory / "timeseries").glob("*.parquet")]
            assert len(found) - sum(part.num_rows for part in parts) in (0, 1)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def test_what_is_unbroken_is_carried_out_whole() -> None:
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    done = []
    try:
        with first_signal_raises(), pytest.raises(KeyboardInterrupt):  # noqa: PT012 - the block is what is tested
            with unbroken:
                with unbroken:
                    signal.raise_signal(signal.SIGINT)
                    done.append("inner")
                done.append("outer")
            done.append("after")
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    assert done == ["inner", "outer"]
