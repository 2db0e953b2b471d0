"""After a refusal only what Google named becomes plainer."""

import copy

import pytest

from server.gemini.schema import repair
from server.gemini.schema.repair import ANSWER, ANSWER_NAMED, TOOLS_NAMED
from server.gemini.types import GenerateRequest
from tests.server.gemini.schema.test_cleaner import obj

MINUTES = obj(
    minutes={"type": "integer", "enum": [60, 1440]},
    size={"anyOf": [{"type": "integer"}, {"type": "string"}]},
)
BAD = obj(x={"type": "string", "pattern": "^a"})
REQUEST: GenerateRequest = {
    "tools": [
        {"googleSearch": {}},
        {
            "functionDeclarations": [
                {"name": "wait", "parametersJsonSchema": MINUTES},
                {"name": "bad", "parametersJsonSchema": BAD},
                {"name": "none"},
            ]
        },
    ],
    "generationConfig": {"seed": 1, "responseJsonSchema": {"type": "integer", "enum": [2]}},
}

NAMED: list[tuple[str, set[int]]] = [
    ("Unknown name at 'request.tools[0].function_declarations[1].parameters': no field.", {1}),
    ("tools[0].functionDeclarations[0].parametersJsonSchema: missing field.", {0}),
    ("Unable to submit request because `bad` functionDeclaration `parameters.x` schema ...", {1}),
    ("* GenerateContentRequest.generation_config.response_json_schema: no.", {ANSWER}),
    ("Request contains an invalid argument.", {0, 1, ANSWER}),
    ("tools[0].function_declarations[2].parameters: odd", {0, 1, ANSWER}),
    ("tools[0].function_declarations[99999].parameters: odd", {0, 1, ANSWER}),
]


@pytest.mark.parametrize(("refusal", "changed"), NAMED)
def test_what_google_named_is_made_plainer_else_everything(refusal: str, changed: set[int]) -> None:
    before = copy.deepcopy(REQUEST)
    mended = repair(REQUEST, refusal)
    assert before == REQUEST
    assert mended.changed == changed
    wait, bad, none = mended.request["tools"][1]["functionDeclarations"]
    assert (wait["parametersJsonSchema"] == MINUTES) == (0 not in changed)
    assert (bad["parametersJsonSchema"] == BAD) == (1 not in changed)
    assert none == {"name": "none"}
    assert mended.request["generationConfig"]["seed"] == 1
    names = [TOOLS_NAMED] * bool(changed - {ANSWER}) + [ANSWER_NAMED] * (ANSWER in changed)
    assert list(mended.dropped) == names


def test_of_a_depth_that_is_refused_only_deep_schemas_are_made_plainer() -> None:
    deep = obj(leaf={"type": "string"})
    for _ in range(20):
        deep = obj(inner=deep)
    declared = [{"name": n, "parametersJsonSchema": s} for n, s in (("a", MINUTES), ("b", deep))]
    request: GenerateRequest = {"tools": [{"functionDeclarations": declared}]}
    refusal = "Request contains an invalid argument: maximum schema depth exceeded."
    assert repair(request, refusal).changed == {1}
    request["tools"][0]["functionDeclarations"].pop()
    assert repair(request, refusal).changed == {0}


def test_types_survive_even_when_everything_is_made_plainer() -> None:
    wait = repair(REQUEST, "").request["tools"][1]["functionDeclarations"][0]
    properties = wait["parametersJsonSchema"]["properties"]
    assert properties["minutes"] == {"type": "integer", "description": "(one of: 60,1440)"}
    assert properties["size"] == {"type": ["integer", "string"]}


def test_where_no_plainer_words_are_left_nothing_is_changed() -> None:
    request: GenerateRequest = {
        "tools": [{"functionDeclarations": [{"name": "a", "parametersJsonSchema": obj(x={})}]}]
    }
    assert not repair(request, "function_declarations[0]")
    assert repair(request, "").request is request
