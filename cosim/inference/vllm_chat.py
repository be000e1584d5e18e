"""vLLM's OpenAI chat server without its HTTP and its engine client: the front end and the egress of an engine.

vLLM's own `OpenAIServingChat` parses, renders, tokenises and streams; the engine client that it is given holds the
prepared request back until the scheduler may see it, and hands it the outputs of steps that are driven from outside.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cosim.inference.cached_renderer import CachedRenderer

SSE_DONE = "data: [DONE]\n\n"


class Refused(Exception):
    """The server answers with an error instead of a stream."""


class Outputs:
    """A request's outputs as vLLM's stream generator awaits them; `put` and `finish` come from the steps."""

    def __init__(self) -> None:
        self._waiting: deque[Any] = deque()
        self._finished = False

    def put(self, output: Any) -> None:
        """Add a RequestOutput."""
        self._waiting.append(output)
        self._finished = self._finished or output.finished

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        while not self._waiting:
            if self._finished:
                raise StopAsyncIteration
            await _Pause()
        return self._waiting.popleft()


class _Pause(Awaitable[None]):
    """Gives control back to whoever drives the coroutine; no event loop is involved."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class Stream:
    """The server-sent events of one answer, made by vLLM's generator as outputs come."""

    def __init__(self, outputs: Outputs, events: Any) -> None:
        self._outputs = outputs
        self._events = events
        self._next: Any = None

    def events(self, output: Any) -> list[bytes]:
        """The events that an output causes, each as written (`data: {...}` and an empty line); `[DONE]` is left out."""
        self._outputs.put(output)
        made: list[bytes] = []
        while True:
            if self._next is None:
                self._next = self._events.__anext__()
            try:
                self._next.send(None)
            except StopIteration as event:
                self._next = None
                if event.value != SSE_DONE:
                    made.append(event.value.encode())
            except StopAsyncIteration:
                return made
            else:
                # It waits for the next output.
                return made


@dataclass(slots=True)
class Prepared:
    """A request that the front end is done with: what the engine core and the output processor take, and its stream."""

    core_request: Any
    engine_request: Any
    prompt_text: str | None
    stream: Stream


class _EngineClient:
    """What `OpenAIServingChat` asks of an engine; `generate` prepares the request and does not submit it."""

    errored = False

    def __init__(self, llm: Any) -> None:
        self._llm = llm
        self.vllm_config = llm.vllm_config
        self.model_config = llm.model_config
        self.renderer = llm.renderer
        self.input_processor = llm.input_processor
        self.taken: tuple[Any, str | None, Outputs] | None = None

    def check_admission(self, n: int = 1, request_id: str | None = None) -> None:
        """The server's limit of concurrent requests, which is off by default."""

    def generate(
        self,
        prompt: Any,
        sampling_params: Any,
        request_id: str,
        *,
        reasoning_ended: bool | None = None,
        reasoning_parser_kwargs: dict[str, Any] | None = None,
        **options: Any,
    ) -> Outputs:
        """Turn a rendered prompt into the engine's request, as AsyncLLM.add_request does."""
        from vllm.renderers.inputs.preprocess import extract_prompt_components

        request = self.input_processor.process_inputs(
            request_id, prompt, sampling_params, supported_tasks=self._llm.get_supported_tasks(), **options
        )
        request.reasoning_ended = reasoning_ended
        request.reasoning_parser_kwargs = reasoning_parser_kwargs
        self.input_processor.assign_request_id(request)
        outputs = Outputs()
        self.taken = (request, extract_prompt_components(self.model_config, prompt)[0], outputs)
        return outputs


class ChatServer:
    """Front end of one engine: `prepare` is what POST /v1/chat/completions does before the engine has the request."""

    def __init__(self, llm: Any, served_model_name: str, cached: CachedRenderer | None = None) -> None:
        """`cached`: renders instead of vLLM's own renderer."""
        from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
        from vllm.entrypoints.openai.chat_completion.serving import OpenAIServingChat
        from vllm.entrypoints.openai.models.protocol import BaseModelPath
        from vllm.entrypoints.openai.models.serving import OpenAIServingModels
        from vllm.renderers.online_renderer import OnlineRenderer

        self._llm = llm
        self._request_type = ChatCompletionRequest
        self._read: Callable[[bytes], Any] = cached.announce if cached is not None else json.loads
        self._client = _EngineClient(llm)
        names = llm.model_config.served_model_name
        aliases = [served_model_name, *([names] if isinstance(names, str) else names or [])]
        paths = [BaseModelPath(name=name, model_path=llm.model_config.model) for name in dict.fromkeys(aliases)]
        self._chat = OpenAIServingChat(
            self._client,
            OpenAIServingModels(self._client, paths),
            "assistant",
            online_renderer=cached
            or OnlineRenderer(
                llm.model_config,
                llm.renderer,
                request_logger=None,
                chat_template=None,
                chat_template_content_format="auto",
            ),
            request_logger=None,
            chat_template=None,
            chat_template_content_format="auto",
        )
        # The renderer's thread pools answer through an event loop, as in the server.
        self._loop = asyncio.new_event_loop()

    def prepare(self, body: bytes) -> Prepared:
        """Parse, render, tokenise and process images. Raises Refused with the server's error."""
        from vllm.entrypoints.serve import create_error_response
        from vllm.entrypoints.serve.engine.protocol import ErrorResponse

        self._client.taken = None
        try:
            request = self._parse(body)
            answer = self._loop.run_until_complete(self._chat.create_chat_completion(request))
        except Refused:
            raise
        except Exception as error:
            # The server turns whatever its handler raises into an error of this request, and serves the next.
            answer = create_error_response(error)
        if isinstance(answer, ErrorResponse):
            raise Refused(f"{answer.error.code} {answer.error.type}: {answer.error.message}")
        assert self._client.taken is not None
        engine_request, prompt_text, outputs = self._client.taken
        # vLLM's engine core does this beside a running step, in its input thread; block hashes and the multi-modal
        # cache are kept in the order of the front end.
        core_request, _ = self._llm.engine_core.engine_core.preprocess_add_request(engine_request)
        return Prepared(core_request, engine_request, prompt_text, Stream(outputs, answer))

    def _parse(self, body: bytes) -> Any:
        from pydantic import ValidationError

        try:
            request = self._request_type.model_validate(self._read(body))
        except ValidationError as error:
            problems = (f"{'.'.join(map(str, at['loc']))}: {at['msg']}" for at in error.errors(include_url=False))
            raise Refused(f"400 BadRequestError: {'; '.join(problems)}") from error
        for key, expected in (("stream", True), ("n", 1), ("use_beam_search", False)):
            value = getattr(request, key)
            if value != expected and not (key == "n" and value is None):
                raise Refused(f"cosim serves streamed answers of one choice: {key} must be {json.dumps(expected)}")
        return request
