"""vLLM's renderer for engines without a forward pass: what it made of a request with images is kept between runs.

Image processing is most of what a front end computes. An engine that executes must measure it; one whose front end is
charged from a profile needs only its results: token ids, and the hash and the place of each image. Pixels go nowhere.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import torch
import transformers
import vllm
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.inputs.engine import mm_input
from vllm.multimodal.inputs import MultiModalKwargsItem, PlaceholderRange
from vllm.renderers.online_renderer import OnlineRenderer

from cosim.entry_store import EntryStore

# A request with other fields (tools, templates, echo, ...) is rendered each time.
_PLAIN_FIELDS = {"messages", "max_tokens", "max_completion_tokens", "min_tokens", "ignore_eos", "stream", "n"}
# Fields that no prompt depends on.
_SAMPLING_FIELDS = {"model", "seed", "temperature"}
_DATA_URL = "data:"
_NO_PIXELS = MultiModalKwargsItem.dummy(0)


class _Item(msgspec.Struct, frozen=True):
    """An image in a prompt: vLLM's hash of it, its place, and which of its tokens it fills (None: all)."""

    modality: str
    hash: str
    offset: int
    length: int
    is_embed: list[bool] | None


class _Rendered(msgspec.Struct, frozen=True):
    prompt_token_ids: list[int]
    prompt: str | None
    items: list[_Item]


class CachedRenderer(OnlineRenderer):  # type: ignore[misc]  # vLLM's classes are not typed for us
    """An OnlineRenderer whose prompts with images come without pixels, from a store where it has them.

    `announce` is called with each request's JSON before vLLM's server renders it.
    """

    def __init__(self, llm: Any, store: EntryStore) -> None:
        super().__init__(
            llm.model_config,
            llm.renderer,
            request_logger=None,
            chat_template=None,
            chat_template_content_format="auto",
        )
        self._store = store
        self._engine_key = _engine_key(llm.vllm_config)
        self._announced: tuple[bytes, bytes] | None = None

    def announce(self, body: bytes) -> Any:
        """The request's JSON, in which the digest of an image stands for it if the request can be in the store."""
        request = json.loads(body)
        self._announced = None
        if not (isinstance(request, dict) and request.keys() <= _PLAIN_FIELDS | _SAMPLING_FIELDS):
            return request
        if not _with_digests(request.get("messages")):
            return json.loads(body)
        asked = {key: value for key, value in request.items() if key not in _SAMPLING_FIELDS}
        self._announced = (self._engine_key + json.dumps(asked, sort_keys=True).encode(), body)
        return request

    async def render_chat(self, request: Any, *, skip_mm_cache: bool = False) -> Any:
        """The conversation, empty, and the prompt; or the server's error."""
        if self._announced is None:
            return await super().render_chat(request, skip_mm_cache=skip_mm_cache)
        (key, body), self._announced = self._announced, None
        kept = self._store.get(key)
        if kept is not None:
            return [], [_prompt(msgspec.msgpack.decode(kept, type=_Rendered))]
        # vLLM's own cache of processed images has no use for what is kept here.
        answer = await super().render_chat(ChatCompletionRequest.model_validate_json(body), skip_mm_cache=True)
        if not isinstance(answer, tuple):
            return answer
        (rendered,) = answer[1]
        made = _Rendered(rendered["prompt_token_ids"], rendered.get("prompt"), _items(rendered))
        self._store.put(key, msgspec.msgpack.encode(made))
        return [], [_prompt(made)]


def _with_digests(messages: Any) -> bool:
    """Put the digest of each image in its place; whether there was one, and nothing else that is not text."""
    found = False
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else None
        for part in content if isinstance(content, list) else ():
            match part:
                case {"type": "text"}:
                    pass
                case {"type": "image_url", "image_url": {"url": str(url)} as image} if url.startswith(_DATA_URL):
                    image["url"] = f"{_DATA_URL},{hashlib.blake2b(url.encode(), digest_size=16).hexdigest()}"
                    found = True
                case _:
                    return False
    return found


def _items(rendered: Any) -> list[_Item]:
    return [
        _Item(modality, rendered["mm_hashes"][modality][index], place.offset, place.length, _mask(place))
        for modality, places in rendered["mm_placeholders"].items()
        for index, place in enumerate(places)
    ]


def _mask(place: Any) -> list[bool] | None:
    return None if place.is_embed is None else place.is_embed.tolist()


def _prompt(made: _Rendered) -> Any:
    """What vLLM's renderer returns, with items that have no tensors."""
    kwargs: dict[str, list[Any]] = {}
    hashes: dict[str, list[str]] = {}
    places: dict[str, list[Any]] = {}
    for item in made.items:
        mask = None if item.is_embed is None else torch.tensor(item.is_embed)
        kwargs.setdefault(item.modality, []).append(_NO_PIXELS)
        hashes.setdefault(item.modality, []).append(item.hash)
        places.setdefault(item.modality, []).append(PlaceholderRange(item.offset, item.length, mask))
    return mm_input(made.prompt_token_ids, kwargs, hashes, places, prompt=made.prompt)


def _engine_key(config: Any) -> bytes:
    """All that a prompt depends on besides its request: the code, the model's files, what vLLM was told of either."""
    model = config.model_config
    images = model.multimodal_config
    folder = Path(model.model)
    files = sorted((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in folder.glob("*"))
    parts = [
        Path(__file__).read_text(),
        vllm.__version__,
        transformers.__version__,
        folder.name if files else model.model,
        files,
        model.revision,
        model.tokenizer if not files else None,
        model.tokenizer_revision,
        model.max_model_len,
        model.hf_overrides if not callable(model.hf_overrides) else repr(model.hf_overrides),
        images and repr((images.mm_processor_kwargs, images.media_io_kwargs, images.limit_per_prompt)),
        config.cache_config.enable_prefix_caching,
        images and images.mm_processor_cache_gb == 0,
    ]
    return hashlib.blake2b(json.dumps(parts, default=repr).encode(), digest_size=32).digest()
