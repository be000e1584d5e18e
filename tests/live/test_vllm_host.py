"""How an engine host starts, fails and ends."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from cosim.bridge.child import Child, Runtime
from cosim.bridge.engine_messages import EngineSpec
from cosim.bridge.errors import ChildError
from cosim.inference.vllm import EngineHost
from cosim.inference.vllm_arguments import EngineArgumentError
from tests.live.vllm_host import MODEL, Chat, engine, running_host, spec, start, text, text_model

pytestmark = pytest.mark.vllm


def test_an_unknown_argument_is_named_before_anything_starts(tmp_path: Path) -> None:
    runtime = Runtime()
    try:
        with pytest.raises(EngineArgumentError, match=r"edge: .*'max_num_seq'; did you mean max_num_seqs") as caught:
            EngineHost("cpu", [spec("edge", max_num_seq=4)], seed=0, runtime=runtime, log=tmp_path / "host.log")
        assert caught.value.argument == "max_num_seq"
        assert not (tmp_path / "host.log").exists()
        with pytest.raises(EngineArgumentError, match="beside the arguments"):
            EngineHost(
                "cpu",
                [EngineSpec("edge", text_model(), MODEL, {"model": "x"}, tls=True)],
                seed=0,
                runtime=runtime,
                log=tmp_path / "host.log",
            )
    finally:
        runtime.close()


def test_a_value_that_vllm_does_not_take_is_a_child_error_with_vllm_s_text(tmp_path: Path) -> None:
    with (
        pytest.raises(ChildError, match=r"(?s)vllm cpu failed: .*engine edge: .*max_num_batched_tokens"),
        running_host(tmp_path, spec("edge", max_num_batched_tokens=0)),
    ):
        pass


def test_killing_the_host_is_a_child_error_that_names_it(tmp_path: Path) -> None:
    with running_host(tmp_path, spec("edge")) as host:
        target = engine(host, "edge")
        start(target, Chat("r", text(5)))
        target.step(0)
        assert isinstance(host.child, Child)
        os.kill(host.child.pid, signal.SIGKILL)
        with pytest.raises(ChildError, match="vllm cpu was killed by SIGKILL"):
            target.step(0)
        assert host.wall_ns > 0
