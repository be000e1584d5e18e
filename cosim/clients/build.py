"""From the scenario's groups to clients."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cosim.clients.base import Client
from cosim.clients.chat import ChatClient
from cosim.clients.frames import FramesClient
from cosim.clients.images import FolderFrames, FrameSource, SyntheticFrames
from cosim.scenario.clients import ClientGroup, Frames
from cosim.scenario.errors import Problem, ScenarioError


def client_names(group: ClientGroup) -> list[str]:
    """Names of a group's clients, which are also the names of their UEs."""
    return [f"{group.name}-{index}" for index in range(group.count)]


def build_clients(
    groups: Sequence[ClientGroup], *, seed: int, end_ns: int, models: dict[str, str], images: bool
) -> list[Client]:
    """Clients of every group. `models`: tier -> model name in requests. `images` False: a replay needs no picture."""
    clients: list[Client] = []
    for group in groups:
        for index, name in enumerate(client_names(group)):
            model, start_ns = models[group.tier], group.joins_at(index)
            last_ns = end_ns if group.leave is None else min(end_ns, group.leave)
            if isinstance(group, Frames):
                source = _source(group, name, seed) if images else None
                clients.append(
                    FramesClient(group, index, seed=seed, start_ns=start_ns, end_ns=last_ns, model=model, source=source)
                )
            else:
                clients.append(ChatClient(group, index, seed=seed, start_ns=start_ns, end_ns=last_ns, model=model))
    return clients


def _source(group: Frames, client: str, seed: int) -> FrameSource | None:
    if group.folder is not None:
        frames = FolderFrames(Path(group.folder))
        if not len(frames):
            raise ScenarioError([Problem(group.folder, None, "folder", "has no *.jpg", "a folder with JPEG images")])
        return frames
    if group.image is None:
        return None
    image = group.image
    return SyntheticFrames(
        width=image.width, height=image.height, quality=image.quality, detail=image.detail, seed=seed, client=client
    )
