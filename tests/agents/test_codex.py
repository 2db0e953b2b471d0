"""What only Codex does: compactions, answers by schema, a WebSocket first, its "lite" models."""

import base64
import json
from pathlib import Path

import pytest

from tests.agents.support import (
    MODELS,
    Codex,
    before,
    call,
    does,
    images,
    outputs,
    png,
    says,
    tell,
    texts,
    told,
)
from tests.google import failures
from tests.google.failures import Failure
from tests.rig import running

CODEX = Codex()
SCHEMA = {
    "type": "object",
    "properties": {"word": {"type": "string"}, "count": {"type": "integer"}},
    "required": ["word", "count"],
    "additionalProperties": False,
}


async def test_an_image_may_come_with_the_prompt(tmp_path: Path) -> None:
    red = tmp_path / "red.png"
    red.write_bytes(png())
    async with running(tmp_path / "data") as rig:
        tell(rig, says("It is red."))
        ran = await CODEX.run(rig, tmp_path, "Which colour?", "-i", str(red))
        assert (ran.code, ran.out.strip()) == (0, "It is red.")
        assert images(rig.sent[0]) == [base64.b64encode(png()).decode()]
        assert (await told(rig)).outcomes == ["ok"]


@pytest.mark.parametrize("model", MODELS)
async def test_a_long_output_makes_it_compact_in_the_middle_of_a_run(
    tmp_path: Path, model: str
) -> None:
    """Codex compares its limit with the count it was told, 9,300 so far, and what came since."""
    async with running(tmp_path / "data") as rig:
        tell(
            rig,
            does(CODEX.shell("seq 1 4000; echo zanzibar")),
            says("The secret word is zanzibar."),
            does(CODEX.shell("echo more")),
            says("All done."),
        )
        limit = ("-c", "model_auto_compact_token_limit=11000")
        ran = await CODEX.run(rig, tmp_path, "Go to work", *limit, model=model)
        assert (ran.code, ran.out.strip()) == (0, "All done.")
        after = await told(rig)
        assert after.outcomes == ["ok"] * 4
        assert after.statuses == [200] * 4
        compaction, _, last = rig.sent[1:]
        assert "tools" not in compaction
        assert "zanzibar" in outputs(compaction)[0]
        assert "The secret word is zanzibar." in texts(last)
        assert len(outputs(last)) == 1


async def test_a_conversation_too_long_for_the_model_ends_with_one_clear_sentence(
    tmp_path: Path,
) -> None:
    async with running(tmp_path / "data") as rig:
        too_long = failures.input_too_long()
        tell(rig, before(rig, too_long, does(CODEX.shell("true")), times=None))
        ran = await CODEX.run(rig, tmp_path, "Go to work")
        assert ran.code == 1
        assert "ran out of room in the model's context window" in ran.err
        after = await told(rig)
        assert after.outcomes == ["ok", "context_length"]
        assert after.statuses == [200, 400]


@pytest.mark.parametrize(
    "failure",
    [failures.only_finishes("SAFETY"), failures.prompt_blocked("SAFETY")],
    ids=["answer", "prompt"],
)
async def test_what_googles_filters_stop_is_said_once(tmp_path: Path, failure: Failure) -> None:
    async with running(tmp_path / "data") as rig:
        tell(rig, before(rig, failure, does(CODEX.shell("true")), times=None))
        ran = await CODEX.run(rig, tmp_path, "Go to work")
        assert ran.code == 1
        assert "ERROR: Blocked by Google: SAFETY" in ran.err
        assert (await told(rig)).statuses == [200, 200]


@pytest.mark.parametrize("model", MODELS)
async def test_an_output_schema_is_kept_beside_tools(tmp_path: Path, model: str) -> None:
    """Every model that lives takes both, so that the schema is demanded."""
    wanted = json.dumps({"word": "zanzibar", "count": 3})
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(SCHEMA), "utf-8")
    async with running(tmp_path / "data") as rig:
        tell(rig, does(CODEX.shell("echo zanzibar")), says(wanted))
        form = ("--output-schema", str(schema))
        ran = await CODEX.run(rig, tmp_path, "Count them", *form, model=model)
        assert (ran.code, ran.out.strip()) == (0, wanted)
        after = await told(rig)
        assert after.outcomes == ["ok", "ok"]
        assert after.statuses == [200, 200]
        for request in rig.sent:
            config, system = request["generationConfig"], json.dumps(request["systemInstruction"])
            demanded = config.get("responseJsonSchema", {}).get("required") == ["word", "count"]
            assert demanded
            assert demanded != ('\\"count\\"' in system)


async def test_the_built_in_provider_asks_for_a_websocket_once_and_then_uses_http(
    tmp_path: Path,
) -> None:
    async with running(tmp_path / "data") as rig:
        tell(rig, does(CODEX.shell("echo one")), says("All done."))
        there = ("-c", "model_provider=openai", "-c", f"openai_base_url={rig.url}/v1")
        ran = await CODEX.run(rig, tmp_path, "Go to work", *there)
        assert (ran.code, ran.out.strip()) == (0, "All done.")
        assert ran.err.count("failed to connect to Responses WebSocket") == 1
        after = await told(rig)
        assert after.outcomes == ["ok", "ok"]
        assert after.statuses == [200, 200]


@pytest.mark.parametrize("model", MODELS)
async def test_a_lite_model_runs_scripts_in_its_freeform_tool(tmp_path: Path, model: str) -> None:
    """Codex's own model names bring other tools: namespaces, and a tool that takes plain text."""
    script = 'const ran = await tools.exec_command({cmd: "echo zanzibar"}); text(ran.output)'
    aliases = {"gpt-5.6-sol": model}
    async with running(tmp_path / "data", aliases=aliases) as rig:
        tell(rig, does(call("functions__exec", input=script)), says("All done."))
        ran = await CODEX.run(rig, tmp_path, "Go to work", model="gpt-5.6-sol")
        assert (ran.code, ran.out.strip()) == (0, "All done.")
        after = await told(rig)
        assert after.outcomes == ["ok", "ok"]
        assert after.statuses == [200, 200]
        assert "zanzibar" in outputs(rig.sent[1])[0]
