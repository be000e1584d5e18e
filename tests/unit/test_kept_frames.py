"""Camera frames that are kept between runs: the bytes that their camera would send anyway."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from cosim.clients.body import chat_body
from cosim.clients.build import build_clients
from cosim.clients.images import SyntheticFrames
from cosim.entry_store import EntryStore
from cosim.scenario.clients import Frames


def bodies(store: EntryStore | None, *, seed: int = 1, count: int = 1, **image: Any) -> list[bytes]:
    """What the cameras ask with their first three frames each."""
    size = {"width": 64, "height": 48, "quality": 80, "detail": 0.5}
    camera = {"name": "cam", "kind": "frames", "tier": "edge", "period": "100ms", "count": count, "image": size | image}
    group = Frames.model_validate(camera)
    clients = build_clients([group], seed=seed, end_ns=10**10, models={"edge": "m"}, images=True, kept_frames=store)
    asked = [client.next_question(0) for client in clients for _ in range(3)]
    return [question.body() for question in asked if question is not None]


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*/*") if path.is_file())


def test_kept_frames_are_the_bytes_of_their_camera(tmp_path: Path) -> None:
    store = EntryStore(tmp_path, limit_bytes=1 << 30)
    anew = bodies(None, count=2)
    assert bodies(store, count=2) == anew
    kept = {path: path.stat().st_ino for path in files(tmp_path)}
    assert len(kept) == 6
    assert bodies(store, count=2) == anew
    assert {path: path.stat().st_ino for path in files(tmp_path)} == kept


def test_a_damaged_frame_is_made_again(tmp_path: Path) -> None:
    store = EntryStore(tmp_path, limit_bytes=1 << 30)
    anew = bodies(store)
    whole = files(tmp_path)[0].read_bytes()
    files(tmp_path)[0].write_bytes(whole[:100])
    assert bodies(store) == anew
    assert files(tmp_path)[0].read_bytes() == whole


def test_all_that_a_frame_depends_on_tells_it_apart(tmp_path: Path) -> None:
    store = EntryStore(tmp_path, limit_bytes=1 << 30)
    variants: list[dict[str, Any]] = [{}, {"seed": 2}, {"width": 80}, {"height": 64}, {"quality": 81}, {"detail": 0.6}]
    for number, variant in enumerate(variants, 1):
        assert bodies(store, **variant) == bodies(None, **variant)
        assert len(files(tmp_path)) == 3 * number


def test_a_picture_is_in_the_body_as_json_would_write_it() -> None:
    jpeg = SyntheticFrames(width=64, height=48, quality=80, detail=0.5, seed=1, client="c").jpeg(0)
    body = chat_body(model="m", text='{image} "é"', output_tokens=4, seed=1, jpeg=jpeg)
    read = json.loads(body)
    assert json.dumps(read, ensure_ascii=False, separators=(",", ":")).encode() == body
    picture, text = read["messages"][0]["content"]
    assert picture["image_url"]["url"] == f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
    assert text["text"] == '{image} "é"'
