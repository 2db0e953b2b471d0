"""What Google refuses in the conversation itself: roles, empty parts, tool turns, signatures.

Wording from public reports (gemini-cli #26486, #17208; CLIProxyAPI #176; LangChain #27799) and
ai.google.dev, *Thought signatures*.
"""

from collections import Counter
from itertools import pairwise

from server.demo.catalogue import Model
from server.demo.errors import GoogleError, Json, invalid
from server.demo.messages import DATA_FIELDS
from server.demo.signatures import GEMINI_API, Signer

_MEDIA = ("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif", "application/pdf")
_MEDIA_FAMILIES = ("audio/", "video/", "text/")
_RESULT_MEDIA = (*_MEDIA, "text/plain")
_ANY = "text/plain"
"""A file's type may be left out."""


def check(request: Json, model: Model, signer: Signer = GEMINI_API) -> None:
    """Refuse the conversation of ``request`` if Google would."""
    contents = request.get("contents", [])
    system = request.get("systemInstruction")
    if system is not None:
        _check_parts(system, "system_instruction")
    check_contents(contents)
    contents = _joined(contents)
    for before, content in pairwise(contents):
        if role(before) == role(content):
            raise invalid("Please ensure that multiturn requests alternate between user and model.")
    if role(contents[0]) != "user":
        raise invalid("Please ensure that multiturn requests begin with a user turn.")
    _check_tool_turns(contents, model)
    if not model.family.prefills and role(contents[-1]) != "user":
        raise invalid(
            "Please ensure that multiturn requests end with a user role or a function response."
        )
    _check_signatures(contents, model, signer)


def check_contents(contents: list[Json]) -> None:
    """Each content by itself; all that ``countTokens`` looks at."""
    if not contents:
        raise invalid("* GenerateContentRequest.contents: contents is not specified")
    for i, content in enumerate(contents):
        if role(content) not in ("user", "model"):
            raise invalid("Please use a valid role: user, model.")
        _check_parts(content, f"contents[{i}]")


def _joined(contents: list[Json]) -> list[Json]:
    """Consecutive model contents as one: Google's SDK keeps every chunk of a streamed answer as a
    content of its own (google-genai 3.4, ``chats.py``)."""
    joined: list[Json] = []
    for content in contents:
        if joined and role(content) == role(joined[-1]) == "model":
            parts = [*joined[-1]["parts"], *content["parts"]]
            joined[-1] = {**content, "parts": parts}
        else:
            joined.append(content)
    return joined


def role(content: Json) -> str:
    """The Gemini API reads a missing role as the user's."""
    return str(content.get("role", "user"))


def calls(content: Json) -> list[Json]:
    return [part["functionCall"] for part in content["parts"] if "functionCall" in part]


def results(content: Json) -> list[Json]:
    return [part["functionResponse"] for part in content["parts"] if "functionResponse" in part]


# -- parts --------------------------------------------------------------------------------------


def _check_parts(content: Json, path: str) -> None:
    if not content.get("parts"):
        raise invalid(
            "Unable to submit request because it must include at least one parts field, which "
            "describes the prompt input. Learn more: "
            "https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/gemini"
        )
    for i, part in enumerate(content["parts"]):
        _check_part(part, f"{path}.parts[{i}]")


def _check_part(part: Json, path: str) -> None:
    if not any(name in part for name in DATA_FIELDS):
        raise invalid(
            f"* GenerateContentRequest.{path}.data: required oneof field 'data' must have one "
            "initialized field"
        )
    if part.get("text") == "" and "thoughtSignature" not in part:
        raise invalid(
            "Unable to submit request because it has an empty text parameter. Add a value to the "
            "parameter and try again."
        )
    if "inlineData" in part:
        _check_blob(part["inlineData"], path, _MEDIA, _MEDIA_FAMILIES)
    _check_type(part.get("fileData", {}).get("mimeType", _ANY), path, _MEDIA, _MEDIA_FAMILIES)
    for inner in part.get("functionResponse", {}).get("parts", ()):
        if "fileData" in inner:
            _check_type(inner["fileData"].get("mimeType", _ANY), path, _RESULT_MEDIA, ())
        else:
            _check_blob(inner.get("inlineData", {}), path, _RESULT_MEDIA, ())
    for name in ("functionCall", "functionResponse"):
        if name in part and not part[name].get("name"):
            raise invalid(f"* GenerateContentRequest.{path}.{name}.name: Name cannot be empty.")
    if "functionResponse" in part and "response" not in part["functionResponse"]:
        raise invalid(
            f"* GenerateContentRequest.{path}.function_response.response: required field is not set"
        )


def _check_blob(blob: Json, path: str, types: tuple[str, ...], families: tuple[str, ...]) -> None:
    _check_type(blob.get("mimeType", ""), path, types, families)
    if not blob.get("data"):
        raise invalid(f"* GenerateContentRequest.{path}.inline_data.data: required field is empty")


def _check_type(mime: str, path: str, types: tuple[str, ...], families: tuple[str, ...]) -> None:
    if mime not in types and not mime.startswith(families):
        raise invalid(
            f"Unable to submit request because it has a mimeType parameter with value {mime}, "
            f"which is not supported ({path})."
        )


# -- tool turns ---------------------------------------------------------------------------------


def _check_tool_turns(contents: list[Json], model: Model) -> None:
    previous: Json | None = None
    for content in contents:
        wanted = calls(previous) if previous else []
        if role(content) == "user":
            if calls(content):
                raise invalid(
                    "Please ensure that function call turn comes immediately after a user turn or "
                    "after a function response turn."
                )
            _check_answers(wanted, results(content), model)
        elif results(content):
            raise invalid(
                "Please ensure that function response turns have the user role: user, model."
            )
        previous = content
    if previous and calls(previous):
        _check_answers(calls(previous), [], model)


def _check_answers(wanted: list[Json], given: list[Json], model: Model) -> None:
    if given and not wanted:
        raise invalid(
            "Please ensure that function response turn comes immediately after a function call "
            "turn."
        )
    if len(wanted) != len(given):
        raise invalid(
            "Please ensure that the number of function response parts is equal to the number of "
            "function call parts of the function call turn."
        )
    if Counter(call["name"] for call in wanted) != Counter(answer["name"] for answer in given):
        raise invalid(
            "Please ensure that the function response names match the function call names of the "
            "function call turn."
        )
    if model.matches_ids:
        _check_ids(wanted, given)


def _check_ids(wanted: list[Json], given: list[Json]) -> None:
    """Gemini 3.5 and later: every result carries the id and the name of its call."""
    names = {call.get("id"): call["name"] for call in wanted}
    if None in names or len(names) != len(wanted):
        raise invalid("Please ensure that every function call has an id of its own.")
    for answer in given:
        if names.pop(answer.get("id"), None) != answer["name"]:
            raise invalid(
                f"Function response `{answer['name']}` with id `{answer.get('id', '')}` does not "
                "match a function call of the function call turn."
            )


# -- signatures ---------------------------------------------------------------------------------


def _check_signatures(contents: list[Json], model: Model, signer: Signer) -> None:
    """The current turn: from the last user content without a function result to the end."""
    start = max(
        (i for i, c in enumerate(contents) if role(c) == "user" and not results(c)), default=0
    )
    for position, content in enumerate(contents[start:], start + 1):
        for part in content["parts"]:
            signature = part.get("thoughtSignature")
            if signature is not None and not signer.takes(signature, model.id):
                raise invalid(signer.refusal)
        _check_server_tools(content, position)
        first = next((part for part in content["parts"] if "functionCall" in part), None)
        if model.signs and first is not None and not first.get("thoughtSignature"):
            raise _unsigned(f"default_api:{first['functionCall']['name']}", position)


def _check_server_tools(content: Json, position: int) -> None:
    """What Google's own tools said comes back whole: the call, then its response, both signed."""
    kinds = ("toolCall", "toolResponse")
    found = [(kind, part) for part in content["parts"] for kind in kinds if kind in part]
    for kind, part in found:
        if not part.get("thoughtSignature"):
            raise _unsigned(_tool_name(part[kind]), position)
    order = [(kind, part[kind].get("id")) for kind, part in found]
    pairs = [(kind, id_) for kind_, id_ in order if kind_ == "toolCall" for kind in kinds]
    if order != pairs:
        raise invalid(
            "Please ensure that every tool call part is immediately followed by its tool response."
        )


def _tool_name(call: Json) -> str:
    """``GOOGLE_SEARCH_WEB`` -> ``google:search``, as the refusal names it."""
    return "google:" + str(call.get("toolType", "")).removeprefix("GOOGLE_").lower().split("_")[0]


def _unsigned(name: str, position: int) -> GoogleError:
    return invalid(
        "Function call is missing a thought_signature in functionCall parts. This is required for "
        "tools to work correctly, and missing thought_signature may lead to degraded model "
        f"performance. Additional data, function call `{name}` , position {position}. Please "
        "refer to https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
    )
