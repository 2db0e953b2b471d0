from dataclasses import replace

import pytest

from server.dialects.fields import Fields
from server.dialects.openai.generation import read_format, read_limit, read_sampling, read_thinking
from server.errors import BadRequestError
from server.gemini.types import Call, Json, Level, Thinking

OFF = Thinking(level="off", budget_tokens=0)
OWN = Thinking(include=True)
DOG: Json = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}


def shown(level: Level, budget_tokens: int) -> Thinking:
    return Thinking(level=level, budget_tokens=budget_tokens, include=True)


LOW = shown("low", 1024)


def sampled(**body: object) -> Call:
    call = Call(dialect="openai-chat", model="m", request={})
    read_sampling(Fields.of(body), call)
    return call


def thinking(limit: int | None = None, google: Json | None = None, **body: object) -> Thinking:
    extension = Fields.of(google, "google") if google is not None else None
    return read_thinking(Fields.of(body), extension, limit)


def formatted(form: Json) -> Json:
    config: Json = {}
    read_format(Fields.of(form, "response_format"), config)
    return config


def test_nothing_is_sent_that_was_not_asked_for() -> None:
    call = sampled()
    assert (call.request["generationConfig"], call.choices, call.stop, call.dropped) == (
        {},
        1,
        (),
        (),
    )


def test_sampling_fields_keep_their_values() -> None:
    config = sampled(temperature=0, top_p=0.95, top_k=40, seed=7).request["generationConfig"]
    assert config == {"temperature": 0, "topP": 0.95, "topK": 40, "seed": 7}


@pytest.mark.parametrize(("seed", "sent"), [(2**31, 0), (2**31 + 5, 5), (-1, 2**31 - 1)])
def test_a_seed_is_cut_to_what_gemini_takes(seed: int, sent: int) -> None:
    assert sampled(seed=seed).request["generationConfig"]["seed"] == sent


@pytest.mark.parametrize("top_k", [0, -1])
def test_a_top_k_that_means_off_is_not_sent(top_k: int) -> None:
    assert sampled(top_k=top_k).request["generationConfig"] == {}


@pytest.mark.parametrize(
    ("stop", "sent", "ours"),
    [
        ("END", ["END"], ()),
        ("", None, ()),
        ([], None, ()),
        (["a", "", "b"], ["a", "b"], ()),
        (list("abcdefg"), list("abcde"), ("f", "g")),
    ],
)
def test_stop_sequences_beyond_geminis_five_are_matched_here(
    stop: object, sent: list[str] | None, ours: tuple[str, ...]
) -> None:
    call = sampled(stop=stop)
    assert call.request["generationConfig"].get("stopSequences") == sent
    assert call.stop == ours


@pytest.mark.parametrize(
    ("body", "dropped"),
    [
        ({"presence_penalty": 0.5, "frequency_penalty": -1}, 2),
        ({"presence_penalty": 0, "frequency_penalty": 0.0}, 0),
    ],
)
def test_penalties_that_do_something_are_named_as_dropped(body: Json, dropped: int) -> None:
    call = sampled(**body)
    assert call.dropped == tuple(body)[:dropped]
    assert call.request["generationConfig"] == {}


def test_fields_that_ask_for_nothing_are_no_loss() -> None:
    fields = Fields.of({"logit_bias": {}, "logprobs": False, "top_logprobs": 0})
    read_sampling(fields, Call(dialect="openai-chat", model="m", request={}))
    assert fields.unread() == ()


def test_several_answers_are_choices_not_a_candidate_count() -> None:
    call = sampled(n=3)
    assert call.choices == 3
    assert call.request["generationConfig"] == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 2.1),
        ("temperature", -0.1),
        ("temperature", "0.5"),
        ("top_p", 1.5),
        ("top_k", 1.5),
        ("seed", "1"),
        ("seed", True),
        ("n", 0),
        ("n", 9),
        ("presence_penalty", 3),
        ("stop", 5),
        ("stop", {"a": 1}),
    ],
)
def test_a_bad_value_is_named(name: str, value: object) -> None:
    with pytest.raises(BadRequestError) as caught:
        sampled(**{name: value})
    assert caught.value.param == name


def test_the_first_limit_that_is_set_wins() -> None:
    fields = Fields.of({"max_completion_tokens": None, "max_tokens": 5, "max_output_tokens": 7})
    assert read_limit(fields, "max_completion_tokens", "max_tokens", "max_output_tokens") == 5
    assert read_limit(Fields.of({}), "max_tokens") is None
    with pytest.raises(BadRequestError):
        read_limit(Fields.of({"max_tokens": 0}), "max_tokens")


@pytest.mark.parametrize(
    ("body", "wish"),
    [
        ({}, OWN),
        ({"reasoning_effort": None}, OWN),
        ({"reasoning_effort": "none"}, OFF),
        ({"reasoning_effort": "minimal"}, shown("minimal", 1024)),
        ({"reasoning_effort": "low"}, LOW),
        ({"reasoning_effort": "medium"}, shown("medium", 8192)),
        ({"reasoning_effort": "high"}, shown("high", 24576)),
        ({"reasoning_effort": "xhigh"}, shown("xhigh", 32768)),
        ({"reasoning_effort": "max"}, shown("xhigh", 32768)),
        ({"reasoning": {}}, OWN),
        ({"reasoning": {"effort": "low"}}, LOW),
        (
            {"reasoning": {"effort": "low", "exclude": True}},
            Thinking(level="low", budget_tokens=1024),
        ),
        ({"reasoning": {"enabled": False}}, OFF),
        ({"reasoning": {"enabled": True}}, OWN),
        ({"reasoning": {"max_tokens": 4000}}, shown("medium", 4000)),
        ({"reasoning_effort": "low", "reasoning": {"effort": "high"}}, LOW),
        ({"thinking": {"type": "disabled"}}, OFF),
        ({"thinking": {"type": "adaptive"}}, OWN),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 10000}},
            shown("high", 10000),
        ),
        ({"thinking": {"type": "enabled", "budget_tokens": 0}}, OFF),
        (
            {"thinking": {"type": "enabled", "budget_tokens": -1}},
            Thinking(budget_tokens=-1, include=True),
        ),
    ],
)
def test_every_way_to_ask_for_thinking_is_understood(body: Json, wish: Thinking) -> None:
    assert thinking(**body) == wish


OFF_WITH_ROOM = replace(OFF, headroom_tokens=8192)


@pytest.mark.parametrize(("limit", "wish"), [(1023, OFF_WITH_ROOM), (1024, OWN), (None, OWN)])
def test_a_short_answer_is_not_eaten_by_thoughts(limit: int | None, wish: Thinking) -> None:
    assert thinking(limit) == wish


def test_a_short_answer_thinks_when_asked_to() -> None:
    assert thinking(10, reasoning_effort="low") == replace(LOW, headroom_tokens=8192)


@pytest.mark.parametrize(
    ("google", "config"),
    [
        (
            {"thinking_config": {"include_thoughts": True, "thinking_budget": 100}},
            {"includeThoughts": True, "thinkingBudget": 100},
        ),
        (
            {"thinkingConfig": {"includeThoughts": True, "thinkingLevel": "low"}},
            {"includeThoughts": True, "thinkingLevel": "low"},
        ),
        (
            {"thinking_config": {"thinking_budget": 0}},
            {"includeThoughts": False, "thinkingBudget": 0},
        ),
    ],
)
def test_a_thinking_config_in_googles_words_wins(google: Json, config: Json) -> None:
    wish = thinking(2000, google, reasoning_effort="high")
    assert wish == Thinking(include=config["includeThoughts"], config=config)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"reasoning_effort": "very"}, "reasoning_effort"),
        ({"reasoning_effort": 3}, "reasoning_effort"),
        ({"reasoning": {"effort": "very"}}, "reasoning.effort"),
        ({"reasoning": "high"}, "reasoning"),
        ({"reasoning": {"enabled": "no"}}, "reasoning.enabled"),
        ({"thinking": {"budget_tokens": "8k"}}, "thinking.budget_tokens"),
    ],
)
def test_a_bad_thinking_field_is_named(body: Json, param: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        thinking(**body)
    assert caught.value.param == param


def test_json_answers_of_any_shape() -> None:
    assert formatted({"type": "text"}) == {}
    assert formatted({"type": "json_object"}) == {"responseMimeType": "application/json"}


@pytest.mark.parametrize("nested", [True, False])
def test_a_schema_is_read_nested_and_flat(nested: bool) -> None:
    inner: Json = {"name": "Dog", "strict": True, "description": "a dog", "schema": DOG}
    form = {"json_schema": inner} if nested else inner
    config = formatted({"type": "json_schema", **form})
    assert config["responseMimeType"] == "application/json"
    assert config["responseJsonSchema"]["properties"] == DOG["properties"]
    assert config["responseJsonSchema"]["description"] == "a dog"


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({}, "response_format.type"),
        ({"type": "xml"}, "response_format.type"),
        ({"type": "json_schema"}, "response_format.schema"),
        ({"type": "json_schema", "json_schema": {}}, "response_format.json_schema.schema"),
        (
            {"type": "json_schema", "json_schema": {"schema": 1}},
            "response_format.json_schema.schema",
        ),
    ],
)
def test_a_bad_format_is_named(form: Json, param: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        formatted(form)
    assert caught.value.param == param
