"""`cosim export --to vllm-bench` beside the file that the installed `vllm bench serve` itself writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from cosim.clock import sleep_s
from cosim.export.command import export
from cosim.export.vllm_bench import Output, result
from cosim.inference import synthetic_tokenizer
from cosim.inference.vllm import host_environment
from tests.runs import carry_out, everything

pytestmark = pytest.mark.vllm

OUTPUT_TOKENS = 5
# What the command does; the command itself wants to be installed under the name `vllm`, the CPU's build has another.
VLLM_BENCH_SERVE = """
from vllm.benchmarks.serve import add_cli_args, main
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = FlexibleArgumentParser()
add_cli_args(parser)
main(parser.parse_args())
"""


class Server(BaseHTTPRequestHandler):
    """Streams answers as vLLM's server does, the fourth of them short and the fifth none at all."""

    protocol_version = "HTTP/1.1"
    asked = count(1)

    def do_GET(self) -> None:
        self.send_error(404)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if not self.path.endswith("/chat/completions"):
            return self.send_error(404)
        number = next(self.asked)
        if number == 5:
            return self.send_error(500, "no more of this")
        tokens = 1 if number == 4 else OUTPUT_TOKENS
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for _ in range(tokens):
            sleep_s(0.01 * number)
            self._chunk({"choices": [{"index": 0, "delta": {"content": "word"}}]})
        self._chunk({"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": tokens}})
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _chunk(self, content: dict[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps(content).encode() + b"\n\n")
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: pytest's output is for tests."""


@pytest.fixture(scope="module")
def of_vllm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `vllm bench serve --save-result --save-detailed` wrote of six requests to a server."""
    folder = tmp_path_factory.mktemp("vllm-bench")
    synthetic_tokenizer.write(folder, 1024, (), images=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        command = [sys.executable, "-c", VLLM_BENCH_SERVE, "--backend", "openai-chat"]
        command += ["--base-url", f"http://127.0.0.1:{server.server_port}", "--endpoint", "/v1/chat/completions"]
        command += ["--model", "made-up", "--tokenizer", str(folder), "--dataset-name", "random", "--num-prompts", "6"]
        command += ["--input-len", "8", "--output-len", str(OUTPUT_TOKENS), "--request-rate", "20", "--disable-tqdm"]
        command += ["--save-result", "--save-detailed", "--result-dir", str(folder), "--result-filename", "r.json"]
        environment = {**os.environ, **host_environment("cpu", [])}
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, env=environment)
        server.shutdown()
        thread.join()
    assert done.returncode == 0, done.stdout + done.stderr
    written: dict[str, Any] = json.loads((folder / "r.json").read_text())
    return written


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return carry_out(everything(), tmp_path_factory.mktemp("everything"))


def exported(run: Path, tier: str, output: Path) -> dict[str, Any]:
    export(run, "vllm-bench", output, tier=tier, force=False, say=pytest.fail)
    content: dict[str, Any] = json.loads(output.read_text())
    return content


def kind_of(value: object) -> str:
    return "number" if isinstance(value, int | float) else type(value).__name__


def test_the_keys_their_order_and_their_types_are_vllms(of_vllm: dict[str, Any], run: Path, tmp_path: Path) -> None:
    ours = exported(run, "edge", tmp_path / "edge.json")
    assert list(ours) == list(of_vllm)
    unknown = {"burstiness", "label"}  # No single process describes all clients; vLLM's label is what the user says.
    for key in ours.keys() - unknown:
        assert kind_of(ours[key]) == kind_of(of_vllm[key]), key
        if isinstance(ours[key], list):
            assert len(ours[key]) == ours["num_prompts"]
            assert {kind_of(item) for item in ours[key]} == {kind_of(item) for item in of_vllm[key]}, key


def test_figures_follow_from_times_by_vllms_formulas(of_vllm: dict[str, Any]) -> None:
    """Ours, of the times in vLLM's file, are the figures in vLLM's file."""
    assert of_vllm["failed"] == 1
    lists = ("latencies", "output_lens", "ttfts", "itls", "input_lens", "errors", "start_times", "queue_times")
    outputs = [
        Output(not error, latency, tokens, ttft, itl, n, error, start, queue)
        for latency, tokens, ttft, itl, n, error, start, queue in zip(*(of_vllm[key] for key in lists), strict=True)
    ]
    ours = result(outputs, of_vllm["duration"])
    for key in ours.keys() - {"generated_texts"}:
        number = isinstance(of_vllm[key], float)
        assert ours[key] == (pytest.approx(of_vllm[key], rel=1e-12) if number else of_vllm[key]), key
