"""The Gemini API as the demo has it: its models, counting, and answers that are made up.

It asks for no key, refuses no model, and has neither quotas nor faults: the tests' Google
(``tests/google``) has.
"""

import asyncio
import json
import re

import httpx

from server.demo import catalogue, model, rules, server_tools
from server.demo.answers import Asked
from server.demo.catalogue import Model
from server.demo.errors import JSON_TYPE, GoogleError, Json, invalid
from server.demo.messages import COUNT, GENERATE, SERVICE_TIERS
from server.demo.proto import read
from server.demo.stream import Sleep, chunks, events, fold
from server.demo.tokens import PrefixCache, count_request

_PATH = re.compile(r"/v1(?:beta)?/models(?:/([^/:]+):(\w+))?")


class GeminiApi:
    """Answers requests in this process: ``httpx.MockTransport(GeminiApi().handle)``."""

    def __init__(self, *, chunk_delay_s: float = 0, sleep: Sleep = asyncio.sleep) -> None:
        self._models = {entry.id: entry for entry in catalogue.models()}
        self._chunk_delay_s = chunk_delay_s
        self._sleep = sleep
        self._cache = PrefixCache()
        self._serial = 0

    def handle(self, request: httpx.Request) -> httpx.Response:
        """The answer to one request, whose body was read."""
        try:
            return self._answer(request)
        except GoogleError as error:
            return httpx.Response(error.status, headers=error.headers, content=error.body())

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        found = _PATH.fullmatch(path)
        if found is None:
            raise GoogleError(404, "Requested entity was not found.")
        name, method = found.groups()
        if name is None:
            return _respond({"models": [entry.described() for entry in self._models.values()]})
        asked = self._models.get(name)
        if asked is None or listed_method(method) not in asked.methods:
            raise no_such_model(path, name, method)
        answering = self._models[asked.alias_of or name]
        body = json.loads(request.content)
        match method:
            case "generateContent" | "streamGenerateContent":
                return self._generate(answering, body, streams=method != "generateContent")
            case "countTokens":
                return _respond(_count(answering, body))
            case _:
                raise no_such_model(path, name, method)

    def _generate(self, answering: Model, body: Json, *, streams: bool) -> httpx.Response:
        message = read(GENERATE, body)
        rules.check(message, answering, streams=streams)
        if "continuationToken" in message:
            raise invalid("Invalid continuation token.")
        self._serial += 1
        made = self._chunks(Asked(model=answering, request=message, serial=self._serial))
        tier = tier_of(message)
        if "serviceTier" in message:
            for chunk in made:
                chunk["usageMetadata"]["serviceTier"] = tier
        headers = {"x-gemini-service-tier": tier}
        if not streams:
            return _respond(fold(made), **headers)
        headers["content-type"] = "text/event-stream"
        content = events(made, delay_s=self._chunk_delay_s, sleep=self._sleep)
        return httpx.Response(200, headers=headers, content=content)

    def _chunks(self, asked: Asked) -> list[Json]:
        answer = server_tools.invoked(model.answer(asked), asked)
        floor = asked.model.family.cache_floor
        cached = self._cache.cached_tokens(asked.request, asked.model.id, floor)
        return chunks(answer, asked, count_request(asked.request), cached)


def _count(answering: Model, body: Json) -> Json:
    """A whole request: system instruction and tools count as well."""
    whole = read(COUNT, body).get("generateContentRequest", {})
    rules.check(whole, answering)
    counted = count_request(whole)
    return {"totalTokens": counted.total, "promptTokensDetails": counted.details()}


def _respond(value: Json, **headers: str) -> httpx.Response:
    content = json.dumps(value, ensure_ascii=False).encode()
    return httpx.Response(200, headers={"content-type": JSON_TYPE, **headers}, content=content)


def tier_of(message: Json) -> str:
    """The service tier that a generate request asks for."""
    wanted = str(message.get("serviceTier", "")).lower().removeprefix("service_tier_")
    return wanted if wanted in SERVICE_TIERS else "standard"


def listed_method(method: str) -> str:
    """A method as ``supportedGenerationMethods`` names it."""
    same = {"streamGenerateContent": "generateContent", "batchEmbedContents": "embedContent"}
    return same.get(method, method)


def no_such_model(path: str, name: str, method: str) -> GoogleError:
    """404 for a name that is none, or for a model that cannot do this."""
    version = path.split("/")[1]
    method = "generateContent" if method == "streamGenerateContent" else method
    return GoogleError(
        404,
        f"models/{name} is not found for API version {version}, or is not supported for {method}. "
        "Call ListModels to see the list of available models and their supported methods.",
    )
