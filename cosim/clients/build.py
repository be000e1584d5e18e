"""From the scenario's groups to clients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from cosim.clients.base import Client
from cosim.clients.chat import ChatClient
from cosim.clients.dialogue import DialogueClient, Pace
from cosim.clients.frames import FramesClient
from cosim.clients.images import FolderFrames, FrameSource, KeptFrames, SyntheticFrames
from cosim.clients.talk import Talk, drawn_talks, drawn_turns, recorded_talks, recorded_turns
from cosim.clients.trace import TraceClient
from cosim.clients.trace_store import StoredTrace
from cosim.entry_store import EntryStore
from cosim.scenario.arrivals import ClosedLoop
from cosim.scenario.clients import Chat, ClientGroup, Frames
from cosim.scenario.dialogue import Dialogue
from cosim.scenario.errors import Problem, ScenarioError
from cosim.scenario.sharegpt import Conversation, ShareGpt
from cosim.scenario.traces import Trace


def client_names(group: ClientGroup) -> list[str]:
    """Names of a group's clients, which are also the names of their UEs."""
    return [f"{group.name}-{index}" for index in range(group.count)]


def build_clients(
    groups: Sequence[ClientGroup],
    *,
    seed: int,
    end_ns: int,
    models: Mapping[str, str],
    images: bool,
    kept_frames: EntryStore | None = None,
    traces: Mapping[str, StoredTrace] = MappingProxyType({}),
    conversations: Mapping[str, Sequence[Conversation]] = MappingProxyType({}),
) -> list[Client]:
    """Clients of every group. `models`: tier -> model name in requests. `images` False: a replay needs no picture.

    `kept_frames`: where synthetic frames are kept between runs, if they are. `traces`, `conversations`: by name of the
    group.
    """
    clients: list[Client] = []
    for group in groups:
        if isinstance(group, Trace):
            model, trace = models[group.tier], traces[group.name]
            clients += [TraceClient(group, k, seed=seed, model=model, trace=trace) for k in range(group.count)]
        else:
            recorded = conversations.get(group.name, ())
            clients += _build(group, recorded, seed, end_ns, models, images=images, kept_frames=kept_frames)
    return clients


def _build(
    group: Frames | Chat | Dialogue | ShareGpt,
    recorded: Sequence[Conversation],
    seed: int,
    end_ns: int,
    models: Mapping[str, str],
    *,
    images: bool,
    kept_frames: EntryStore | None,
) -> list[Client]:
    last_ns = end_ns if group.leave is None else min(end_ns, group.leave)
    clients: list[Client] = []
    for index, name in enumerate(client_names(group)):
        start_ns, model = group.joins_at(index), models[group.tier]
        if isinstance(group, Frames):
            source = _source(group, name, seed, kept_frames) if images else None
            clients.append(
                FramesClient(group, index, seed=seed, start_ns=start_ns, end_ns=last_ns, model=model, source=source)
            )
        elif isinstance(group, Chat):
            turns = drawn_turns(group, seed, name)
            clients.append(
                ChatClient(group, index, turns=turns, seed=seed, start_ns=start_ns, end_ns=last_ns, model=model)
            )
        elif isinstance(group, ShareGpt) and not group.multi_turn:
            turns = recorded_turns(group, recorded, index, seed)
            clients.append(
                ChatClient(group, index, turns=turns, seed=seed, start_ns=start_ns, end_ns=last_ns, model=model)
            )
        else:
            pace, talks = _sessions(group, recorded, index, seed)
            clients.append(
                DialogueClient(
                    group, index, talks=talks, pace=pace, seed=seed, start_ns=start_ns, end_ns=last_ns, models=models
                )
            )
    return clients


def _sessions(
    group: Dialogue | ShareGpt, recorded: Sequence[Conversation], index: int, seed: int
) -> tuple[Pace, Iterator[Talk]]:
    """How fast a client talks and what it says."""
    if isinstance(group, Dialogue):
        pause_ns = group.think_time if group.pause is None else group.pause
        return Pace(group.think_time, pause_ns, group.think), drawn_talks(group, seed, f"{group.name}-{index}")
    assert isinstance(group.arrivals, ClosedLoop)
    think_ns = group.arrivals.think_time
    return Pace(think_ns, think_ns, group.arrivals.think), recorded_talks(group, recorded, index, seed)


def _source(group: Frames, client: str, seed: int, kept: EntryStore | None) -> FrameSource | None:
    if group.folder is not None:
        frames = FolderFrames(Path(group.folder))
        if not len(frames):
            raise ScenarioError([Problem(group.folder, None, "folder", "has no *.jpg", "a folder with JPEG images")])
        return frames
    if group.image is None:
        return None
    image = group.image
    source = SyntheticFrames(
        width=image.width, height=image.height, quality=image.quality, detail=image.detail, seed=seed, client=client
    )
    return source if kept is None else KeptFrames(source, kept, {**image.model_dump(), "seed": seed, "client": client})
