"""Making a call fit a model."""

import copy
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.demo.messages import GENERATE
from server.demo.proto import read as read_message
from server.gemini.fit import Fitted, fit
from server.gemini.known import LEVELS
from server.gemini.models import Model
from server.gemini.schema import clean
from server.gemini.signatures import BYPASS, StoredSignature
from server.gemini.types import Call, Content, GenerateRequest, Json, Thinking
from tests.google import doors
from tests.google.catalogue import FakeModel
from tests.google.table import CATALOGUE
from tests.server.gemini.schema.test_cleaner import SCHEMAS
from tests.server.gemini.test_history import CONTENTS

OLD, NEW, NEON = "gemini-2.5-pro", "gemini-3.5-flash", "gemini-4-neon"
IMAGE: Json = {"inlineData": {"mimeType": "image/png", "data": "AA=="}}
SOUND: Json = {"inlineData": {"mimeType": "audio/wav", "data": "AA=="}}
LOOK: Json = {"name": "look", "description": "Looks."}
READ: Json = {"name": "read", "description": "Reads."}


class Nothing:
    """A ``SignatureLookup`` that knows none."""

    def call(self, tool_call_id: str) -> StoredSignature | None:
        return None

    def text(self, digest: str) -> StoredSignature | None:
        return None


def user(*parts: Json) -> Content:
    return {"role": "user", "parts": list(parts)}


HELLO: list[Content] = [user({"text": "hello"})]


def fitted(request: GenerateRequest, model_id: str = NEW, **call: Any) -> Fitted:
    """Fit, and make sure that the call keeps what it had."""
    whole: GenerateRequest = {"contents": HELLO, **request}
    parsed = Call(dialect="test", model="asked", request=whole, **call)
    before = copy.deepcopy(whole)
    result = fit(parsed, Model(id=model_id), Nothing())
    assert parsed.request == before
    return result


def config_sent(config: Json, model_id: str = NEW, **call: Any) -> Json:
    """What becomes of a generationConfig."""
    return fitted({"generationConfig": config}, model_id, **call).request.get(
        "generationConfig", {}
    )


def test_a_plain_request_stays_as_it_is() -> None:
    request: GenerateRequest = {
        "contents": HELLO,
        "systemInstruction": user({"text": "be kind"}),
        "generationConfig": {"temperature": 0.5, "seed": 7, "maxOutputTokens": 100},
        "safetySettings": [{"category": "c", "threshold": "OFF"}],
        "tools": [{"functionDeclarations": [LOOK]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look"]}},
    }
    assert fitted(request) == Fitted(request)


def test_nothing_is_filled_in() -> None:
    assert fitted({}) == Fitted({"contents": HELLO})


def test_a_verbatim_request_is_passed_on_untouched() -> None:
    request: GenerateRequest = {"contents": [], "generationConfig": {"candidateCount": 3}}
    result = fit(
        Call(dialect="g", model="m", request=request, verbatim=True), Model(id=NEW), Nothing()
    )
    assert result.request is request
    assert result.dropped == ()


# -- conversation -------------------------------------------------------------------------------


def test_the_conversation_is_repaired_and_signed() -> None:
    calls: Content = {"role": "model", "parts": [{"functionCall": {"id": "1", "name": "look"}}]}
    sent = fitted({"contents": [*HELLO, calls]}).request["contents"]
    assert sent[1]["parts"] == [
        {"functionCall": {"id": "1", "name": "look"}, "thoughtSignature": BYPASS}
    ]
    assert "functionResponse" in sent[2]["parts"][0]


def test_a_request_with_only_a_system_prompt_lets_the_user_say_it() -> None:
    request: GenerateRequest = {"contents": [], "systemInstruction": user({"text": "a"})}
    assert fitted(request).request == {"contents": [user({"text": "a"})]}


def test_an_empty_question_is_still_a_question() -> None:
    assert fitted({"contents": [user({"text": ""})]}).request == {"contents": [user({"text": " "})]}


@pytest.mark.parametrize("parts", [[], [{"text": ""}]])
def test_an_empty_system_instruction_goes(parts: list[Json]) -> None:
    assert fitted({"systemInstruction": user(*parts)}).request == {"contents": HELLO}


def _with_result(*media: Json, output: str = "") -> list[Content]:
    response = {"id": "1", "name": "look", "response": {"output": output}, "parts": list(media)}
    if not media:
        del response["parts"]
    call: Json = {"functionCall": {"id": "1", "name": "look", "args": {}}}
    return [
        *HELLO,
        {"role": "model", "parts": [call]},
        user({"functionResponse": response}, {"text": "and?"}),
    ]


def test_images_stay_in_the_result_where_the_model_takes_them() -> None:
    sent = fitted({"contents": _with_result(IMAGE, output="seen")}).request["contents"][2]["parts"]
    assert sent[0]["functionResponse"]["parts"] == [IMAGE]
    assert sent[1:] == [{"text": "and?"}]


def test_sound_stands_beside_the_results() -> None:
    """``functionResponse.parts`` takes images and PDFs, no sound and no video."""
    sent = fitted({"contents": _with_result(SOUND, IMAGE)}).request["contents"][2]["parts"]
    assert sent[0]["functionResponse"]["parts"] == [IMAGE]
    assert sent[1:] == [SOUND, {"text": "and?"}]


def test_before_generation_three_media_follow_the_results() -> None:
    sent = fitted({"contents": _with_result(IMAGE)}, OLD).request["contents"][2]["parts"]
    response = {"output": "Binary content provided (1 item(s))."}
    assert sent == [
        {"functionResponse": {"name": "look", "response": response}},
        IMAGE,
        {"text": "and?"},
    ]


# -- tools --------------------------------------------------------------------------------------


@pytest.mark.parametrize("model_id", [OLD, NEW])
def test_functions_win_over_built_in_tools(model_id: str) -> None:
    tools: list[Json] = [{"functionDeclarations": [LOOK]}, {"googleSearch": {}}, {"urlContext": {}}]
    result = fitted({"tools": tools}, model_id)
    assert result.request["tools"] == [{"functionDeclarations": [LOOK]}]
    assert result.dropped == ("tools.googleSearch", "tools.urlContext")


def test_built_in_tools_alone_stay_and_need_no_tool_config() -> None:
    request: GenerateRequest = {
        "tools": [{"googleSearch": {}}, {"codeExecution": {}}, {"functionDeclarations": []}],
        "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
    }
    assert fitted(request).request == {
        "contents": HELLO,
        "tools": [{"googleSearch": {}}, {"codeExecution": {}}],
    }


@pytest.mark.parametrize("tools", [[], [{"functionDeclarations": []}], [{}]])
def test_no_tools_means_no_tools_and_no_tool_config(tools: list[Json]) -> None:
    calling = {"functionCallingConfig": {"mode": "NONE"}}
    assert fitted({"tools": tools, "toolConfig": calling}).request == {"contents": HELLO}


def test_functions_are_declared_once_in_one_tool_and_the_first_wins() -> None:
    again = {**LOOK, "description": "Again."}
    tools: list[Json] = [{"functionDeclarations": [LOOK]}, {"functionDeclarations": [READ, again]}]
    assert fitted({"tools": tools}).request["tools"] == [{"functionDeclarations": [LOOK, READ]}]


@pytest.mark.parametrize(
    ("calling", "sent"),
    [
        ({"mode": "AUTO", "allowedFunctionNames": ["look"]}, {"mode": "AUTO"}),
        ({"mode": "ANY", "allowedFunctionNames": ["look", "gone"]}, None),
        ({"mode": "VALIDATED", "allowedFunctionNames": ["look"]}, None),
        ({"mode": "ANY", "allowedFunctionNames": []}, {"mode": "ANY"}),
        ({"mode": "NONE"}, {"mode": "NONE"}),
    ],
)
def test_names_are_allowed_only_where_calling_is_demanded(calling: Json, sent: Json | None) -> None:
    request: GenerateRequest = {
        "tools": [{"functionDeclarations": [LOOK]}],
        "toolConfig": {"functionCallingConfig": calling},
    }
    expected = sent or {**calling, "allowedFunctionNames": ["look"]}
    assert fitted(request).request["toolConfig"] == {"functionCallingConfig": expected}


# -- settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "limit", "sent"),
    [(0, 65_536, 1), (128_000, 65_536, 65_536), (9000, 8192, 8192), (10**9, 10**6, 65_536)],
)
def test_the_output_limit_stays_in_range(asked: int, limit: int, sent: int) -> None:
    request: GenerateRequest = {
        "contents": HELLO,
        "generationConfig": {"maxOutputTokens": asked},
    }
    call = Call(dialect="d", model="m", request=request)
    result = fit(call, Model(id=NEW, output_limit_tokens=limit), Nothing()).request
    assert result["generationConfig"] == {"maxOutputTokens": sent}


def test_candidates_and_penalties_are_never_sent() -> None:
    config = {"candidateCount": 2, "presencePenalty": 0.5, "frequencyPenalty": 1}
    result = fitted({"generationConfig": config})
    assert result.request == {"contents": HELLO}
    assert result.dropped == (
        "generationConfig.presencePenalty",
        "generationConfig.frequencyPenalty",
    )


def test_sampling_is_dropped_where_it_is_ignored() -> None:
    config = {"temperature": 0, "topP": 0.5, "topK": 3, "seed": 1}
    assert config_sent(config, NEW) == config
    result = fitted({"generationConfig": config}, NEON)
    assert result.request["generationConfig"] == {"seed": 1}
    assert result.dropped == tuple(f"generationConfig.{n}" for n in ("temperature", "topP", "topK"))


@pytest.mark.parametrize(("asked", "sent"), [(0, None), (-1, None), (1, 1), (64, 64), (500, 64)])
def test_top_k_stays_in_range(asked: int, sent: int | None) -> None:
    assert config_sent({"topK": asked}).get("topK") == sent


def test_at_most_five_stop_sequences_and_none_empty() -> None:
    result = fitted({"generationConfig": {"stopSequences": ["", *"abcdef"]}})
    assert result.request["generationConfig"] == {"stopSequences": list("abcde")}
    assert result.dropped == ("generationConfig.stopSequences",)
    assert config_sent({"stopSequences": [""]}) == {}


def test_thinking_is_worded_for_the_model() -> None:
    wish = Thinking(level="medium", budget_tokens=8192, include=True)
    assert config_sent({}, OLD, thinking=wish) == {
        "thinkingConfig": {"thinkingBudget": 8192, "includeThoughts": True}
    }
    assert config_sent({}, NEW, thinking=wish) == {
        "thinkingConfig": {"thinkingLevel": "MEDIUM", "includeThoughts": True}
    }


def test_headroom_is_added_when_the_model_thinks_unasked() -> None:
    wish = Thinking(level="off", headroom_tokens=8192)
    assert config_sent({"maxOutputTokens": 1}, OLD, thinking=wish) == {
        "maxOutputTokens": 257,
        "thinkingConfig": {"thinkingBudget": 128},
    }
    assert config_sent({"maxOutputTokens": 1}, "gemini-2.5-flash", thinking=wish) == {
        "maxOutputTokens": 1,
        "thinkingConfig": {"thinkingBudget": 0},
    }
    assert config_sent({}, OLD, thinking=wish) == {"thinkingConfig": {"thinkingBudget": 128}}
    assert config_sent({"maxOutputTokens": 1}, "gemini-3.1-pro-preview", thinking=wish) == {
        "maxOutputTokens": 8193,
        "thinkingConfig": {"thinkingLevel": "LOW"},
    }


def test_a_budget_never_eats_the_whole_output() -> None:
    wish = Thinking(level="high", budget_tokens=31_999, include=True)
    assert config_sent({"maxOutputTokens": 32_000}, OLD, thinking=wish) == {
        "maxOutputTokens": 32_000,
        "thinkingConfig": {"thinkingBudget": 27_904, "includeThoughts": True},
    }


# -- structured answers -------------------------------------------------------------------------

ANSWER: Json = {"type": "object", "properties": {"a": {"type": "string"}}}
JSON_CONFIG: Json = {"responseMimeType": "application/json", "responseJsonSchema": ANSWER}


def test_an_answer_schema_is_sent_where_tools_allow_it() -> None:
    assert config_sent(JSON_CONFIG, OLD) == JSON_CONFIG
    tools: list[Json] = [{"functionDeclarations": [LOOK]}]
    sent = fitted({"generationConfig": JSON_CONFIG, "tools": tools}, NEW).request
    assert sent["generationConfig"] == JSON_CONFIG


@pytest.mark.parametrize("tool", [{"functionDeclarations": [LOOK]}, {"googleSearch": {}}])
def test_otherwise_the_instruction_asks_for_json(tool: Json) -> None:
    request: GenerateRequest = {
        "systemInstruction": user({"text": "be kind"}),
        "generationConfig": {"seed": 1, **JSON_CONFIG},
        "tools": [tool],
    }
    sent = fitted(request, OLD).request
    assert sent["generationConfig"] == {"seed": 1}
    kind, asked = sent["systemInstruction"]["parts"]
    assert kind == {"text": "be kind"}
    assert '{"type":"object","properties":{"a":{"type":"string"}}}' in asked["text"]


def test_json_without_a_schema_is_asked_for_in_words_too() -> None:
    request: GenerateRequest = {
        "generationConfig": {"responseMimeType": "application/json"},
        "tools": [{"functionDeclarations": [LOOK]}],
    }
    sent = fitted(request, OLD).request
    assert "generationConfig" not in sent
    assert sent["systemInstruction"]["parts"][0]["text"].endswith("fences.")


# -- the strict fake as the judge ---------------------------------------------------------------

LEVEL = st.sampled_from(LEVELS)
LIMITS = st.integers(-1, 200_000)
THINKING = st.builds(
    Thinking,
    level=st.none() | LEVEL,
    budget_tokens=st.none() | LIMITS,
    include=st.booleans(),
    headroom_tokens=st.sampled_from([0, 8192]),
    config=st.none()
    | st.fixed_dictionaries(
        {},
        optional={
            "thinkingBudget": LIMITS,
            "thinkingLevel": LEVEL.map(str.upper),
            "includeThoughts": st.booleans(),
        },
    ),
)
DECLARATION = st.builds(
    lambda name, schema: (
        {"name": name, "description": "d"}
        | ({"parametersJsonSchema": cleaned} if (cleaned := clean(schema)) else {})
    ),
    st.sampled_from(["look", "read", "write"]),
    SCHEMAS,
)
TOOL = st.one_of(
    st.sampled_from([{"googleSearch": {}}, {"urlContext": {}}, {"codeExecution": {}}]),
    st.lists(DECLARATION, max_size=3).map(lambda several: {"functionDeclarations": several}),
)
CALLING = st.fixed_dictionaries(
    {"mode": st.sampled_from(["AUTO", "ANY", "NONE", "VALIDATED"])},
    optional={"allowedFunctionNames": st.lists(st.sampled_from(["look", "gone"]), max_size=2)},
)
CONFIG = st.fixed_dictionaries(
    {},
    optional={
        "maxOutputTokens": LIMITS,
        "temperature": st.sampled_from([0, 0.5, 2]),
        "topK": st.integers(-1, 100),
        "candidateCount": st.integers(1, 8),
        "presencePenalty": st.sampled_from([0.0, 0.5]),
        "stopSequences": st.lists(st.text("ab", max_size=2), max_size=8),
        "responseMimeType": st.just("application/json"),
    },
)
REQUEST = st.fixed_dictionaries(
    {"contents": CONTENTS},
    optional={
        "tools": st.lists(TOOL, max_size=3),
        "toolConfig": CALLING.map(lambda calling: {"functionCallingConfig": calling}),
        "generationConfig": CONFIG,
        "systemInstruction": st.sampled_from(["", "be kind"]).map(lambda t: user({"text": t})),
    },
)
GENERATING = [model for model in CATALOGUE if model.levels or model.budget]


@given(st.sampled_from(GENERATING), REQUEST, THINKING)
@settings(max_examples=300, deadline=None)
def test_the_strict_fake_accepts_every_fitted_request(
    model: FakeModel, request: Json, thinking: Thinking
) -> None:
    call = Call(dialect="d", model="m", request=cast("GenerateRequest", request), thinking=thinking)
    sent = cast("Json", fit(call, Model(id=model.id), Nothing()).request)
    doors.check(read_message(GENERATE, sent), model, "code-assist")
