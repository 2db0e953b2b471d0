"""What only Claude Code does: compactions, its StructuredOutput and WebSearch tools, sub-agents."""

import json
from pathlib import Path

import pytest

from server.demo.errors import Json
from tests.agents.support import (
    MODELS,
    ClaudeCode,
    before,
    call,
    does,
    outputs,
    says,
    signatures,
    tell,
    texts,
    told,
)
from tests.google import failures, model
from tests.google.failures import Failure
from tests.rig import running

CLAUDE = ClaudeCode()
SUMMARY = "<analysis>All seen.</analysis>\n<summary>The secret word is zanzibar.</summary>"
SCHEMA = {
    "type": "object",
    "properties": {"word": {"type": "string"}, "count": {"type": "integer", "minimum": 0}},
    "required": ["word", "count"],
    "additionalProperties": False,
}


def called(request: Json) -> list[str]:
    """The functions a conversation says were called."""
    parts = [part for content in request["contents"] for part in content["parts"]]
    return [part["functionCall"]["name"] for part in parts if "functionCall" in part]


@pytest.mark.parametrize("model_id", MODELS)
async def test_compact_is_one_request_and_the_session_goes_on_from_the_summary(
    tmp_path: Path, model_id: str
) -> None:
    async with running(tmp_path / "data") as rig:
        tell(rig, does(CLAUDE.shell("echo zanzibar")), says("I know it."))
        await CLAUDE.run(rig, tmp_path, "Find the word", model=model_id)
        tell(rig, says(SUMMARY))
        ran = await CLAUDE.run(rig, tmp_path, "/compact", model=model_id, resume=True)
        assert ran.code == 0
        assert "<summary>" in texts(rig.sent[-1])
        assert called(rig.sent[-1]) == ["Bash"]
        tell(rig, does(CLAUDE.shell("echo more")), says("It is zanzibar."))
        ran = await CLAUDE.run(rig, tmp_path, "Which word?", model=model_id, resume=True)
        assert (ran.code, ran.out.strip()) == (0, "It is zanzibar.")
        after = await told(rig)
        assert after.outcomes == ["ok"] * 5
        assert after.statuses == [200] * 5
        assert "The secret word is zanzibar." in texts(rig.sent[-1])
        assert outputs(rig.sent[-1]) == ["{'output': 'more'}"]


async def test_a_conversation_too_long_for_the_model_is_compacted_in_the_middle_of_a_run(
    tmp_path: Path,
) -> None:
    async with running(tmp_path / "data") as rig:
        too_long = failures.input_too_long()
        tell(
            rig,
            before(rig, too_long, does(CLAUDE.shell("echo zanzibar"))),
            says(SUMMARY),
            says("All done."),
        )
        ran = await CLAUDE.run(rig, tmp_path, "Go to work")
        assert (ran.code, ran.out.strip()) == (0, "All done.")
        after = await told(rig)
        assert after.outcomes == ["ok", "context_length", "ok", "ok"]
        assert after.statuses == [200, 400, 200, 200]
        assert "The secret word is zanzibar." in texts(rig.sent[-1])


@pytest.mark.parametrize(
    "failure",
    [failures.only_finishes("SAFETY"), failures.prompt_blocked("SAFETY")],
    ids=["answer", "prompt"],
)
async def test_what_googles_filters_stop_is_tried_once_more_and_then_said(
    tmp_path: Path, failure: Failure
) -> None:
    async with running(tmp_path / "data") as rig:
        tell(rig, before(rig, failure, does(CLAUDE.shell("true")), times=None))
        ran = await CLAUDE.run(rig, tmp_path, "Go to work")
        assert ran.code == 1
        assert "safeguards flagged this message" in ran.out
        assert (await told(rig)).statuses == [200, 200, 200]


@pytest.mark.parametrize("model_id", MODELS)
async def test_a_json_schema_is_answered_through_its_own_tool(
    tmp_path: Path, model_id: str
) -> None:
    wanted = {"word": "zanzibar", "count": 3}
    form = ("--output-format", "json", "--json-schema", json.dumps(SCHEMA))
    async with running(tmp_path / "data") as rig:
        tell(
            rig,
            does(CLAUDE.shell("echo zanzibar")),
            does(call("StructuredOutput", **wanted)),
        )
        ran = await CLAUDE.run(rig, tmp_path, "Count them", *form, model=model_id)
        assert ran.code == 0
        result = json.loads(ran.out)
        assert result["structured_output"] == wanted
        assert not result["is_error"]
        after = await told(rig)
        assert after.outcomes == ["ok", "ok"]
        assert after.statuses == [200, 200]
        assert result["usage"]["output_tokens"] == (await rig.usage())["total_output_tokens"]


@pytest.mark.parametrize("model_id", MODELS)
async def test_a_web_search_is_an_inner_request_answered_with_googles_own(
    tmp_path: Path, model_id: str
) -> None:
    async with running(tmp_path / "data") as rig:
        tell(
            rig,
            does(call("ToolSearch", query="select:WebSearch")),
            does(call("WebSearch", query="where is zanzibar")),
            model.answer,
            says("Found it."),
        )
        ran = await CLAUDE.run(rig, tmp_path, "Search the web", model=model_id)
        assert (ran.code, ran.out.strip()) == (0, "Found it.")
        after = await told(rig)
        assert after.outcomes == ["ok"] * 4
        assert after.statuses == [200] * 4
        assert after.unsaid == 0
        search = rig.sent[2]
        assert [list(tool) for tool in search["tools"]] == [["googleSearch"]]
        assert "where is zanzibar" in texts(search)
        _, found = outputs(rig.sent[3])
        assert "https://example.com/" in found
        assert "Example Reference" in found


async def test_sub_agents_work_side_by_side(tmp_path: Path) -> None:
    """Each is a conversation of its own; a signature must not leave its own."""
    task = {"description": "look", "subagent_type": "general-purpose", "run_in_background": False}
    flash = MODELS[0]

    def answer(asked: model.Asked) -> model.Answer:
        done = "functionResponse" in json.dumps(asked.request["contents"][-1])
        said = texts(asked.request)
        if "Send two agents" in said:
            calls = [call("Agent", prompt=f"You are number {n}.", **task) for n in (1, 2)]
            return says("Both are back.") if done else does(*calls)
        number = 1 if "You are number 1." in said else 2
        return says(f"I was number {number}.") if done else does(CLAUDE.shell(f"echo {number}"))

    async with running(tmp_path / "data") as rig:
        tell(rig, *[answer] * 6)
        ran = await CLAUDE.run(rig, tmp_path, "Send two agents", model=flash)
        assert (ran.code, ran.out.strip()) == (0, "Both are back.")
        after = await told(rig)
        assert after.outcomes == ["ok"] * 6
        assert after.statuses == [200] * 6
        first, second = outputs(rig.sent[-1])
        assert "I was number 1." in first
        assert "I was number 2." in second
        assert len({signatures(request)[0] for request in rig.sent if called(request)}) == 3
