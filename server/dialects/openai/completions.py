"""OpenAI's legacy ``POST /v1/completions``: prompt in, text out; with ``suffix``, text between.

Editors use it for fill-in-the-middle. Gemini has no such mode, so the gap is described to the
model. Source: OpenAI API reference, *Completions*.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from server.dialects.base import Params
from server.dialects.fields import Fields, wrong
from server.dialects.losses import ignored
from server.dialects.openai.answer import Answer, Piece, Shape, finish_reason
from server.dialects.openai.generation import read_limit, read_sampling
from server.dialects.openai.losses import LOSSES
from server.gemini.events import Event, Finish, TextDelta
from server.gemini.thinking import HEADROOM_TOKENS
from server.gemini.types import Call, Content, Json, Thinking

_FILL_IN = (
    "You fill the gap at the cursor between <prefix> and <suffix>. Answer with only the text that "
    "belongs between them: no explanation, no code fence, and nothing of the prefix or the suffix."
)

_NO_THOUGHTS = Thinking(level="off", budget_tokens=0, headroom_tokens=HEADROOM_TOKENS)
"""This API knows no reasoning, so its ``max_tokens`` leaves no room for a model that must think."""


@dataclass(frozen=True, slots=True)
class CompletionOptions:
    """What the encoder has to remember of the request."""

    include_usage: bool = False
    echo: str = ""
    """The prompt, when it is to stand before the answer."""


def parse_completion(body: Json, params: Params) -> Call:
    """A ``Call`` with as little thinking as possible; raises ``BadRequestError``."""
    fields = Fields.of(body)
    call = Call(
        dialect="openai-chat",
        model=fields.required_string("model"),
        request={},
        stream=fields.boolean("stream"),
        thinking=_NO_THOUGHTS,
    )
    config = read_sampling(fields, call)
    limit = read_limit(fields, "max_tokens")
    if limit is not None:
        config["maxOutputTokens"] = limit
    prompt, suffix = _prompt(fields.get("prompt")), fields.string("suffix")
    text = prompt
    if suffix:
        text = f"<prefix>{prompt}</prefix>\n<suffix>{suffix}</suffix>"
        call.request["systemInstruction"] = Content(role="user", parts=[{"text": _FILL_IN}])
    elif not prompt:
        raise wrong("prompt", "Field required", code="missing_required_parameter")
    call.request["contents"] = [Content(role="user", parts=[{"text": text}])]
    if not config:
        del call.request["generationConfig"]
    usage = fields.object("stream_options")
    call.options = CompletionOptions(
        include_usage=usage is not None and usage.boolean("include_usage"),
        echo=prompt if fields.boolean("echo") else "",
    )
    call.dropped += fields.unread(ignored(LOSSES, "/v1/completions"))
    return call


def _prompt(value: object) -> str:
    """The one prompt: a string, or a list holding just one."""
    if isinstance(value, list):
        if len(value) > 1 and all(isinstance(item, str) for item in value):
            problem = "One prompt per request: send a request for each"
            raise wrong("prompt", problem, code="unsupported_parameter")
        value = value[0] if len(value) == 1 else value
    if value is not None and not isinstance(value, str):
        raise wrong("prompt", "Input should be a string; token ids are not supported")
    return value or ""


@dataclass(slots=True)
class TextChoice:
    """One text as it grows; thoughts are no part of it."""

    echo: str
    texts: list[str] = field(default_factory=list)
    end: Json = field(default_factory=lambda: {"finish_reason": "stop"})

    def feed(self, event: Event) -> Iterator[Piece]:
        if self.echo:
            self.texts.append(self.echo)
            self.echo = ""
            yield self.texts[-1]
        match event:
            case TextDelta(text=text):
                self.texts.append(text)
                yield text
            case Finish(reason=reason):
                self.end = {"finish_reason": finish_reason(reason, called=False)}
                yield {"text": "", "logprobs": None, **self.end}
            case _:
                pass

    def whole(self) -> Json:
        return {"text": "".join(self.texts), "logprobs": None, **self.end}


_COMPLETION = Shape(
    id_prefix="cmpl-",
    whole="text_completion",
    chunk="text_completion",
    text=(b'"text":', b',"logprobs":null,"finish_reason":null}'),
    choice=lambda call: TextChoice(_options(call).echo),
)


def _options(call: Call) -> CompletionOptions:
    return call.options if isinstance(call.options, CompletionOptions) else CompletionOptions()


def completions_encoder(call: Call) -> Answer:
    """The ``StreamEncoder`` of one legacy call."""
    return Answer(call, _COMPLETION, include_usage=_options(call).include_usage)


def encode_completion(call: Call, events: Sequence[Event]) -> Json:
    """The ``text_completion`` made of these events."""
    return completions_encoder(call).fold(events)
