"""A call, made to fit one model: everything model-specific is settled here and nowhere else.

A dialect says what its client wants without knowing the model. ``fit`` mends the conversation, puts
signatures back, and brings tools, settings and thinking into what the model accepts (protocol notes
``code-assist.md`` section 6). What cannot be honoured is named by its Gemini field.
"""

import json
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from server.gemini.history import is_result, repair
from server.gemini.known import Traits
from server.gemini.media import stand_in
from server.gemini.model_traits import traits
from server.gemini.signatures import SignatureLookup, attach
from server.gemini.thinking import leave_room, thinking_config, thinks
from server.gemini.types import Call, Content, GenerateRequest, Json, Thinking

MAX_STOP_SEQUENCES = 5
MAX_TOP_K = 64

_FUNCTIONS = "functionDeclarations"
_JSON = "application/json"
_PENALTIES = ("presencePenalty", "frequencyPenalty")
_SAMPLING = ("temperature", "topP", "topK")
_ANSWER_FORMAT = ("responseMimeType", "responseJsonSchema", "responseSchema")
_NESTED_MEDIA = ("image/", "application/pdf")
"""What a function result may hold; sound and video stand beside it."""


class Target(Protocol):
    """What ``fit`` needs to know of a model (``server.gemini.models.Model``)."""

    @property
    def id(self) -> str: ...
    @property
    def input_limit_tokens(self) -> int: ...
    @property
    def output_limit_tokens(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Fitted:
    """A request ready to be sent, and the Gemini fields that had to go."""

    request: GenerateRequest
    dropped: tuple[str, ...] = ()


def fit(call: Call, model: Target, lookup: SignatureLookup) -> Fitted:
    """``call.request`` as ``model`` accepts it; the call itself stays as it is."""
    if call.verbatim:
        return Fitted(call.request)
    fitter = _Fitter(traits(model.id), {**call.request})
    readable = repair(_readable(call.request.get("contents", ()), model, fitter.dropped))
    contents = attach(readable, model.id, call.carried, lookup)
    fitter.contents(contents)
    fitter.tools()
    fitter.settings(min(model.output_limit_tokens, fitter.model.output_tokens), call.thinking)
    fitter.answer_format()
    fitter.instruction()
    return Fitted(fitter.request, tuple(dict.fromkeys(fitter.dropped)))


@dataclass(slots=True)
class _Fitter:
    """One shallow copy of a request on its way through the rules."""

    model: Traits
    request: GenerateRequest
    dropped: list[str] = field(default_factory=list)

    def contents(self, contents: Sequence[Content]) -> None:
        """Media of results where the model takes them."""
        self.request["contents"] = [_with_media_placed(c, self.model) for c in contents]

    def tools(self) -> None:
        """All functions in one tool; built-in tools only without functions (Google's rule)."""
        tools = self.request.pop("tools", [])
        declared = [d for tool in tools for d in tool.get("functionDeclarations", ())]
        functions = {d["name"]: d for d in reversed(declared)}
        names = list(dict.fromkeys(d["name"] for d in declared))
        builtin = [{key: tool[key]} for tool in tools for key in tool if key != _FUNCTIONS]
        config = self.request.pop("toolConfig", None)
        if functions:
            self.dropped += [f"tools.{key}" for tool in builtin for key in tool]
            self.request["tools"] = [{_FUNCTIONS: [functions[name] for name in names]}]
            if config := _tool_config(config or {}, names):
                self.request["toolConfig"] = config
        elif builtin:
            self.request["tools"] = builtin

    def settings(self, most_tokens: int, thinking: Thinking) -> None:
        """``generationConfig`` within the model's ranges; nothing is filled in."""
        config = {**self.request.pop("generationConfig", {})}
        config.pop("candidateCount", None)
        refused = (*_PENALTIES, *(_SAMPLING if self.model.ignores_sampling else ()))
        for name in refused:
            if config.pop(name, None) is not None:
                self.dropped.append(f"generationConfig.{name}")
        if "topK" in config and config["topK"] < 1:
            del config["topK"]
        elif "topK" in config:
            config["topK"] = min(config["topK"], MAX_TOP_K)
        self._limit_stop_sequences(config)
        self._settle_thinking(config, most_tokens, thinking)
        if config:
            self.request["generationConfig"] = config

    def _limit_stop_sequences(self, config: Json) -> None:
        sequences = [text for text in config.pop("stopSequences", ()) if text]
        if len(sequences) > MAX_STOP_SEQUENCES:
            self.dropped.append("generationConfig.stopSequences")
        if sequences:
            config["stopSequences"] = sequences[:MAX_STOP_SEQUENCES]

    def _settle_thinking(self, config: Json, most_tokens: int, thinking: Thinking) -> None:
        """``thinkingConfig``, and an output limit that counts thoughts and answer alike."""
        wish = thinking_config(thinking, self.model)
        limit = config.get("maxOutputTokens")
        if limit is not None:
            limit = max(1, min(limit + self._headroom(wish, thinking), most_tokens))
            config["maxOutputTokens"] = limit
            wish = leave_room(wish, self.model, limit)
        if wish:
            config["thinkingConfig"] = wish

    def _headroom(self, wish: Json, thinking: Thinking) -> int:
        """Room for thoughts beside the answer; of a budget, which models may overrun, twice."""
        budget = wish.get("thinkingBudget", -1)
        if not thinks(wish, self.model):
            return 0
        return thinking.headroom_tokens if budget < 0 else min(thinking.headroom_tokens, 2 * budget)

    def answer_format(self) -> None:
        """Before Gemini 3 a JSON answer excludes tools: then the instruction has to ask for it."""
        config = self.request.get("generationConfig", {})
        if config.get("responseMimeType") != _JSON or "tools" not in self.request:
            return
        if self.model.json_with_tools:
            return
        rest = {key: value for key, value in config.items() if key not in _ANSWER_FORMAT}
        schema = config.get("responseJsonSchema", config.get("responseSchema"))
        asked = "Your final answer must be a single JSON value, without code fences"
        matching = "" if schema is None else f", that matches this JSON Schema:\n{_compact(schema)}"
        system = self.request.get("systemInstruction", {}).get("parts", [])
        self.request["systemInstruction"] = {
            "role": "user",
            "parts": [*system, {"text": f"{asked}{matching or '.'}"}],
        }
        self.request["generationConfig"] = rest
        if not rest:
            del self.request["generationConfig"]

    def instruction(self) -> None:
        """No empty system instruction, and never an instruction (or nothing) alone."""
        system = self.request.pop("systemInstruction", {})
        parts = [part for part in system.get("parts", ()) if part not in ({}, {"text": ""})]
        if not self.request["contents"]:
            said = parts or [{"text": " "}]
            self.request["contents"] = [{"role": "user", "parts": said}]
        elif parts:
            self.request["systemInstruction"] = {**system, "parts": parts}


def _tool_config(config: Json, declared: Sequence[str]) -> Json:
    """Names may only be demanded when calling is, and only declared ones."""
    calling = {**config.get("functionCallingConfig", {})}
    known = set(declared)
    names = [name for name in calling.pop("allowedFunctionNames", ()) if name in known]
    if names and calling.get("mode") in ("ANY", "VALIDATED"):
        calling["allowedFunctionNames"] = names
    rest = {key: value for key, value in config.items() if key != "functionCallingConfig"}
    return rest | ({"functionCallingConfig": calling} if calling else {})


def _with_media_placed(content: Content, model: Traits) -> Content:
    """Media a result cannot hold move behind all results of the content."""
    if not any(map(is_result, content["parts"])):
        return content
    results: list[Json] = []
    media: list[Json] = []
    others = [part for part in content["parts"] if not is_result(part)]
    for part in content["parts"]:
        if is_result(part):
            result, moved = _split_media(part["functionResponse"], model)
            results.append({**part, "functionResponse": result})
            media += moved
    return {**content, "parts": [*results, *media, *others]}


def _split_media(result: Json, model: Traits) -> tuple[Json, list[Json]]:
    result = _with_lines(result)
    parts = result.get("parts", ())
    nested: list[Json] = []
    moved: list[Json] = []
    for part in parts:
        (nested if model.media_in_results and _can_nest(part) else moved).append(part)
    bare = {key: value for key, value in result.items() if key != "parts"}
    if moved and bare.get("response") == {"output": ""}:
        bare["response"] = {"output": f"Binary content provided ({len(moved)} item(s))."}
    return (bare | {"parts": nested} if nested else bare), moved


def _with_lines(result: Json) -> Json:
    """Lines of text that stand in for media go to the result's own text."""
    parts = result.get("parts", ())
    lines = [part["text"] for part in parts if "text" in part]
    if not lines:
        return result
    response = dict(result.get("response", {}))
    key = "error" if "error" in response else "output"
    response[key] = "\n".join(filter(None, [response.get(key), *lines]))
    return {**result, "response": response, "parts": [p for p in parts if "text" not in p]}


def _readable(contents: Sequence[Content], model: Target, dropped: list[str]) -> Sequence[Content]:
    """The contents without what alone is more than the model can read, except in the newest
    message: a tool's result of 10 MB would make every later turn fail."""
    if not _is_any_long(contents, model.input_limit_tokens):
        return contents
    reader = _Reader(model.input_limit_tokens, dropped)
    newest = _newest(contents)
    return [
        content if index >= newest else {**content, "parts": [*map(reader.part, content["parts"])]}
        for index, content in enumerate(contents)
    ]


def _is_any_long(contents: Sequence[Content], most_tokens: int) -> bool:
    """Whether a text may be more than that: no token is less than a character."""
    for content in contents:
        for part in content["parts"]:
            if "text" in part:
                if len(part["text"]) > most_tokens:
                    return True
            elif is_result(part):
                said = part["functionResponse"].get("response", {}).values()
                if any(isinstance(text, str) and len(text) > most_tokens for text in said):
                    return True
    return False


def _newest(contents: Sequence[Content]) -> int:
    """Where the newest message begins, or the first of the results that end the conversation."""
    of_results = [all(map(is_result, content["parts"])) for content in contents]
    last = max((i for i, c in enumerate(contents) if c.get("role") != "model"), default=0)
    while last and of_results[last] and of_results[last - 1]:
        last -= 1
    return last


@dataclass(frozen=True, slots=True)
class _Reader:
    most_tokens: int
    dropped: list[str]

    def part(self, part: Json) -> Json:
        if is_result(part):
            result = part["functionResponse"]
            response = {name: self._text(said) for name, said in result.get("response", {}).items()}
            return {**part, "functionResponse": {**result, "response": response}}
        return {**part, "text": self._text(part["text"])} if "text" in part else part

    def _text(self, said: object) -> object:
        if not isinstance(said, str) or len(said) <= self.most_tokens:
            return said
        tokens = len(said.encode("utf-8", "surrogatepass")) // 4
        if tokens <= self.most_tokens:
            return said
        self.dropped.append("contents[].parts[]")
        problem = f"about {tokens} tokens are more than the model can read"
        return stand_in(problem)["text"]


def without_media(request: GenerateRequest, media: Iterable[Json]) -> GenerateRequest:
    """A copy with a line of text in place of each of these parts; they are told by identity."""
    gone = {id(part) for part in media}
    line = stand_in("Google could not read all files of this conversation")
    contents: list[Content] = [
        {**content, "parts": [_without(part, gone, line) for part in content["parts"]]}
        for content in request.get("contents", ())
    ]
    return {**request, "contents": contents}


def without_thinking(request: GenerateRequest) -> GenerateRequest:
    """A copy that leaves the thinking to the model."""
    config = request.get("generationConfig") or {}
    rest = {key: value for key, value in config.items() if key != "thinkingConfig"}
    return {**request, "generationConfig": rest}


def _without(part: Json, gone: Container[int], line: Json) -> Json:
    if id(part) in gone:
        return line
    result = part.get("functionResponse", {})
    if not any(id(nested) in gone for nested in result.get("parts", ())):
        return part
    nested = [line if id(inner) in gone else inner for inner in result["parts"]]
    bare = _with_lines({**result, "parts": nested})
    if not bare["parts"]:
        del bare["parts"]
    return {**part, "functionResponse": bare}


def _can_nest(part: Json) -> bool:
    return str(part.get("inlineData", {}).get("mimeType", "")).startswith(_NESTED_MEDIA)


def _compact(schema: object) -> str:
    return json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
