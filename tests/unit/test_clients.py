"""What clients ask and when: by seed alone, each on its own, in order, and with real pictures."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import TypeAdapter

from cosim.clients.base import Client, Question
from cosim.clients.body import text_of
from cosim.clients.build import build_clients, client_names
from cosim.clients.chat import ChatClient
from cosim.clients.frames import FramesClient
from cosim.clients.images import FolderFrames, SyntheticFrames
from cosim.clients.streams import stream
from cosim.scenario.clients import Chat, ClientGroup, Frames
from cosim.scenario.errors import ScenarioError
from cosim.words import WORDS

MS = 1_000_000
S = 1_000_000_000


def group(**values: Any) -> ClientGroup:
    parsed: ClientGroup = TypeAdapter(ClientGroup).validate_python({"tier": "edge", **values})
    return parsed


def frames(**values: Any) -> Frames:
    parsed = group(**{"name": "cam", "kind": "frames", "period": "100ms", **values})
    assert isinstance(parsed, Frames)
    return parsed


def chat(**arrivals: Any) -> Chat:
    parsed = group(name="user", kind="chat", arrivals=arrivals)
    assert isinstance(parsed, Chat)
    return parsed


def clients(*groups: ClientGroup, seed: int = 1, end_ns: int = 10 * S, images: bool = False) -> list[Client]:
    return build_clients(groups, seed=seed, end_ns=end_ns, models={"edge": "m"}, images=images)


def questions(client: Client) -> Iterator[Question]:
    """All of an open loop's questions; a closed loop's when each is answered at once."""
    now_ns = 0
    while (question := client.next_question(now_ns)) is not None:
        yield question
        now_ns = question.t_scheduled_ns


def times(client: Client) -> list[int]:
    return [question.t_scheduled_ns for question in questions(client)]


def all_times(found: Sequence[Client]) -> dict[str, list[int]]:
    return {client.name: times(client) for client in found}


GROUPS = (
    frames(count=3),
    frames(name="slow", period="1s", jitter="0s"),
    group(name="user", kind="chat", count=2, arrivals={"kind": "poisson", "rate": "5/s"}),
    group(name="steady", kind="chat", arrivals={"kind": "constant", "rate": "5/s"}),
    group(name="closed", kind="chat", arrivals={"kind": "closed", "think_time": "200ms"}),
)


def test_the_same_seed_gives_the_same_questions_and_another_seed_others() -> None:
    first, second, third = (
        [[(q.request_id, q.t_scheduled_ns, q.body()) for q in questions(client)] for client in clients(*GROUPS, seed=s)]
        for s in (1, 1, 2)
    )
    assert first == second
    for one, other in zip(first, third, strict=True):
        assert [t_ns for _, t_ns, _ in one] != [t_ns for _, t_ns, _ in other]


def test_a_client_does_not_depend_on_any_other() -> None:
    """Nor on the order of groups, on their number, or on how its questions and those of others are interleaved."""
    alone = {name: t for item in GROUPS for name, t in all_times(clients(item)).items()}
    assert all_times(clients(*GROUPS)) == alone
    assert all_times(clients(*reversed(GROUPS))) == alone
    more = all_times(clients(frames(count=5), *GROUPS[1:], frames(name="new")))
    assert {name: more[name] for name in alone} == alone
    together = clients(*GROUPS[:4])
    interleaved: dict[str, list[int]] = {client.name: [] for client in together}
    for _ in range(3):
        for client in together:
            question = client.next_question(0)
            assert question is not None
            interleaved[client.name].append(question.t_scheduled_ns)
    assert interleaved == {client.name: alone[client.name][:3] for client in together}


def test_pictures_are_a_matter_of_their_own() -> None:
    """A replay, which makes none, asks at the same times."""
    camera = frames(image={"width": 64, "height": 64})
    assert all_times(clients(camera, images=True)) == all_times(clients(camera, images=False))


def test_names_say_whose_question_it_is() -> None:
    assert client_names(GROUPS[0]) == ["cam-0", "cam-1", "cam-2"]
    found = clients(*GROUPS)
    assert [client.name for client in found] == [
        *("cam-0", "cam-1", "cam-2", "slow-0", "user-0", "user-1", "steady-0", "closed-0")
    ]
    assert [(client.group, client.tier, client.closed_loop) for client in found[-2:]] == [
        ("steady", "edge", False),
        ("closed", "edge", True),
    ]
    ids = [question.request_id for question in questions(found[3])]
    assert ids[:3] == ["slow-0-000000", "slow-0-000001", "slow-0-000002"]
    every = [question.request_id for client in clients(*GROUPS) for question in questions(client)]
    assert len(set(every)) == len(every)


def test_a_question_has_what_its_group_says() -> None:
    camera = frames(prompt_tokens=5, output_tokens=7, timeout="3s", cancel_after="2s", cancel_after_chunks=4)
    for settled in (camera, group(**{**camera.model_dump(mode="json", include=COMMON), **CHAT})):
        question = next(questions(clients(settled)[0]))
        assert (question.prompt_tokens, question.output_tokens) == (5, 7)
        assert (question.timeout_ns, question.cancel_after_ns, question.cancel_after_chunks) == (3 * S, 2 * S, 4)
        assert (question.client, question.tier) == ("cam-0", "edge")


COMMON = {"name", "tier", "prompt_tokens", "output_tokens", "timeout", "cancel_after", "cancel_after_chunks"}
CHAT = {"kind": "chat", "arrivals": {"kind": "poisson", "rate": "9/s"}}


@pytest.mark.parametrize("drift_ppm", [0, 50, 10_000])
def test_a_cameras_clock_drifts_within_its_bounds(drift_ppm: float) -> None:
    found = clients(frames(count=20, drift_ppm=drift_ppm, jitter="0s"), end_ns=100 * S)
    drifts = []
    for client in found:
        due = times(client)
        assert 0 <= due[0] < 100 * MS
        span_ns = (len(due) - 1) * 100 * MS
        drifts.append((due[-1] - due[0] - span_ns) / span_ns * 1e6)
    assert max(map(abs, drifts)) <= drift_ppm + 0.001
    # Twenty cameras differ from one another, and not all to the same side.
    assert (min(drifts) < 0 < max(drifts)) == (drift_ppm > 0)
    assert len(set(drifts)) == (20 if drift_ppm else 1)
    assert len({times(client)[0] for client in clients(frames(count=20))}) == 20


def test_capture_jitter_spreads_around_the_period() -> None:
    due = np.array(times(clients(frames(period="1s", drift_ppm=0), end_ns=2000 * S)[0]))
    phase = times(clients(frames(period="1s", drift_ppm=0, jitter="0s"), end_ns=2000 * S)[0])[0]
    error_ns = due - phase - np.arange(len(due)) * S
    assert error_ns.std() == pytest.approx(2 * MS, rel=0.1)
    assert error_ns.mean() == pytest.approx(0, abs=0.25 * MS)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**63 - 1), period_ns=st.integers(10**6, 10**8), jitter_ns=st.integers(0, 10**9))
def test_capture_times_keep_their_order_whatever_the_jitter(seed: int, period_ns: int, jitter_ns: int) -> None:
    camera = frames(period=f"{period_ns}ns", jitter=f"{jitter_ns}ns")
    due = times(clients(camera, seed=seed, end_ns=100 * period_ns)[0])
    assert 99 <= len(due) <= 101
    assert min(due) >= 0
    assert due == sorted(due)


def test_poisson_arrivals_have_exponential_gaps_of_the_rate() -> None:
    due = times(clients(chat(kind="poisson", rate="10/s"), end_ns=1000 * S)[0])
    gaps = np.diff([0, *due])
    # Standard error of a mean of 10,000 exponential gaps: 1 %.
    assert gaps.mean() == pytest.approx(100 * MS, rel=0.04)
    assert gaps.std() == pytest.approx(100 * MS, rel=0.06)
    assert (gaps > 100 * MS).mean() == pytest.approx(np.exp(-1), abs=0.02)
    assert max(due) < 1000 * S


def test_constant_arrivals_are_equal_gaps_from_a_random_phase() -> None:
    due = times(clients(chat(kind="constant", rate="10/s"))[0])
    assert {later - earlier for earlier, later in pairwise(due)} == {100 * MS}
    assert 0 <= due[0] < 100 * MS
    assert len(due) == 100


def test_a_closed_loop_thinks_after_each_answer() -> None:
    user = clients(chat(kind="closed", think_time="200ms", think="constant"), end_ns=10 * S)[0]
    first = user.next_question(0)
    assert first is not None
    assert 0 <= first.t_scheduled_ns < 200 * MS
    for end_ns in (S, 7 * S, 9_799_999_999):
        question = user.next_question(end_ns)
        assert question is not None
        assert question.t_scheduled_ns == end_ns + 200 * MS
    assert user.next_question(9_800 * MS) is None


def test_think_times_have_the_mean_that_was_asked_for() -> None:
    user = clients(chat(kind="closed", think_time="100ms"), end_ns=10**15)[0]
    thinks = []
    for k in range(4000):
        question = user.next_question(k * S)
        assert question is not None
        thinks.append(question.t_scheduled_ns - k * S)
    assert min(thinks) >= 0
    assert np.mean(thinks) == pytest.approx(100 * MS, rel=0.06)


def test_users_of_a_group_do_not_ask_in_step() -> None:
    for arrivals in ({"kind": "closed", "think": "constant"}, {"kind": "constant", "rate": "1/s"}):
        crowd = clients(group(name="u", kind="chat", count=50, arrivals=arrivals))
        assert len({next(questions(user)).t_scheduled_ns for user in crowd}) == 50


def test_the_least_and_the_greatest_rate_are_rates() -> None:
    for rate in ("0.000000001/s", "1000000/s"):
        for kind in ("poisson", "constant"):
            user = clients(chat(kind=kind, rate=rate), end_ns=10 * MS)[0]
            found = [user.next_question(0) for _ in range(20)]
            assert all(question is None or question.t_scheduled_ns < 10 * MS for question in found)


def test_the_body_is_what_vllm_takes() -> None:
    question = next(questions(clients(chat(kind="poisson", rate="9/s"))[0]))
    body = json.loads(question.body())
    text = body["messages"][0].pop("content")
    assert body == {
        "messages": [{"role": "user"}],
        "model": "m",
        "max_completion_tokens": 16,
        "min_tokens": 16,
        "ignore_eos": True,
        "temperature": 1.0,
        "seed": body["seed"],
        "stream": True,
    }
    assert len(text.split(" ")) == 24
    assert set(text.split(" ")) <= set(WORDS)
    assert question.body() is question.body()


def test_no_two_questions_are_alike() -> None:
    """Neither a prefix cache nor equal seeds may make one request cheaper by another."""
    bodies = [json.loads(q.body()) for client in clients(*GROUPS) for q in questions(client)]
    assert len({body["messages"][0]["content"] for body in bodies}) == len(bodies)
    assert len({body["seed"] for body in bodies}) == len(bodies)


def test_a_body_is_the_same_whenever_it_is_made() -> None:
    early, late = clients(GROUPS[0], GROUPS[2])[3], clients(GROUPS[0], GROUPS[2])[3]
    at_once = [question.body() for question in questions(early)]
    in_the_end = [question.body() for question in reversed(list(questions(late)))]
    assert at_once == in_the_end[::-1]


def picture(body: bytes) -> Image.Image:
    image, text = json.loads(body)["messages"][0]["content"]
    assert (image["type"], text["type"]) == ("image_url", "text")
    head, _, data = image["image_url"]["url"].partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data, validate=True)))


def test_a_camera_sends_jpegs_of_its_size() -> None:
    camera = frames(image={"width": 320, "height": 200, "quality": 70}, period="1s")
    sent = [picture(question.body()) for question in questions(clients(camera, images=True)[0])]
    assert {(image.format, image.size, image.mode) for image in sent} == {("JPEG", (320, 200), "RGB")}


@pytest.mark.parametrize(
    ("width", "height", "quality", "detail"),
    [(28, 28, 1, 0.0), (28, 28, 80, 0.5), (255, 40, 1, 1.0), (640, 480, 80, 0.5)],
)
def test_all_frames_of_all_cameras_differ_in_their_pixels(width: int, height: int, quality: int, detail: float) -> None:
    """Caches of images look at pixels; small pictures repeat their shifts soon, poor ones lose what is faint."""
    seen = set()
    for client in ("cam-0", "cam-1"):
        source = SyntheticFrames(width=width, height=height, quality=quality, detail=detail, seed=1, client=client)
        for index in (*range(200), 784, 65_536, 2**31):
            image = Image.open(io.BytesIO(source.jpeg(index)))
            assert image.size == (width, height)
            seen.add(image.tobytes())
    assert len(seen) == 2 * 203


def test_a_frame_is_the_same_bytes_each_time_and_grows_with_detail_and_quality() -> None:
    def size(**changes: Any) -> int:
        values = {"width": 320, "height": 240, "quality": 80, "detail": 0.5, "seed": 1, "client": "c", **changes}
        assert SyntheticFrames(**values).jpeg(3) == SyntheticFrames(**values).jpeg(3)
        return len(SyntheticFrames(**values).jpeg(3))

    assert size(detail=0.1) < size(detail=0.5) < size(detail=1.0)
    assert size(quality=20) < size(quality=80) < size(quality=95)
    assert size(width=640, height=480) > 3 * size()


def test_a_folder_is_sent_in_order_again_and_again(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.JPEG", "c.png", "d.txt"):
        (tmp_path / name).write_bytes(name.encode())
    source = FolderFrames(tmp_path)
    assert [source.jpeg(index) for index in range(3)] == [b"a.JPEG", b"b.jpg", b"a.JPEG"]
    camera = frames(folder=str(tmp_path))
    question = next(questions(clients(camera, images=True)[0]))
    assert base64.b64encode(b"a.JPEG").decode() in question.body().decode()


def test_a_folder_without_pictures_is_a_fault_of_the_scenario(tmp_path: Path) -> None:
    camera = frames(folder=str(tmp_path))
    with pytest.raises(ScenarioError, match=r"folder: has no \*\.jpg; a folder with JPEG images"):
        clients(camera, images=True)
    assert len(clients(camera, images=False)) == 1


def test_a_text_has_as_many_words_as_tokens() -> None:
    assert len(text_of(1000, stream(1, "x")).split(" ")) == 1000


def test_streams_depend_on_the_seed_and_on_every_name() -> None:
    draws = [
        stream(seed, *names).random() for seed in (0, 1, 2**63 - 1) for names in (["a"], ["b"], ["a", "b"], ["ab"])
    ]
    assert len(set(draws)) == len(draws)
    assert stream(1, "a").random() == stream(1, "a").random()


def test_a_client_knows_its_kind() -> None:
    camera, user = clients(frames(on_overrun="skip"), chat(kind="closed"))
    assert isinstance(camera, FramesClient)
    assert isinstance(user, ChatClient)
    assert (camera.on_overrun, user.on_overrun) == ("skip", "overlap")
    assert (camera.closed_loop, user.closed_loop) == (False, True)
