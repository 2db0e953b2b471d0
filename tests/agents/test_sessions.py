"""What both agents must live through, request by request."""

import base64
from pathlib import Path

import pytest

from server.gemini.catalogue import catalogue, today
from tests.agents.support import (
    MODELS,
    Agent,
    ClaudeCode,
    Codex,
    before,
    does,
    images,
    outputs,
    png,
    says,
    signatures,
    tell,
    texts,
    told,
)
from tests.google import failures, keys
from tests.google.failures import Failure, refuse
from tests.google.google import FakeGoogle
from tests.google.model import Answer, Asked
from tests.rig import GEMINI_KEY, running

AGENTS = pytest.mark.parametrize("agent", [ClaudeCode(), Codex()], ids=["claude-code", "codex"])
DELAY_S = 1.5


@AGENTS
@pytest.mark.parametrize("model", MODELS)
async def test_several_turns_with_tools_and_an_image(
    tmp_path: Path, agent: Agent, model: str
) -> None:
    red = tmp_path / "red.png"
    red.write_bytes(png())
    async with running(tmp_path / "data") as rig:
        tell(
            rig,
            does(agent.shell("echo one; exit 3")),
            does(agent.shell("echo two"), agent.look(red)),
            does(agent.shell("echo three > three.txt")),
            says("All done."),
        )
        ran = await agent.run(rig, tmp_path, "Go to work", model=model)
        assert (ran.code, ran.out.strip()) == (0, "All done.")
        after = await told(rig)
        assert after.outcomes == ["ok"] * 4
        assert after.statuses == [200] * 4
        assert after.unsaid == 0
        (last,) = rig.sent[-1:]
        first, second, _image, _third = outputs(last)
        assert "one" in first
        assert "two" in second
        assert (tmp_path / "three.txt").read_text("utf-8") == "three\n"
        assert images(last) == [base64.b64encode(png()).decode()]
        assert len(set(signatures(last))) == 3
        entries = (await rig.usage())["recent_requests"]
        assert {(entry["client"], entry["model"]) for entry in entries} == {(agent.name, model)}


@AGENTS
async def test_a_session_goes_on_after_a_restart_of_the_proxy(tmp_path: Path, agent: Agent) -> None:
    """The signatures of the first run are still there, as the strict model demands."""
    google = FakeGoogle(api_keys={GEMINI_KEY})
    model = MODELS[1]
    async with running(tmp_path / "data", google=google) as rig:
        tell(rig, does(agent.shell("echo zanzibar")), says("I ran it."))
        await agent.run(rig, tmp_path, "Run it", model=model)
    async with running(tmp_path / "data", google=google) as rig:
        tell(rig, does(agent.shell("echo again")), says("It said zanzibar."))
        ran = await agent.run(rig, tmp_path, "What did it say?", model=model, resume=True)
        assert (ran.code, ran.out.strip()) == (0, "It said zanzibar.")
        after = await told(rig)
        assert after.outcomes == ["ok"] * 4
        assert after.statuses == [200] * 4
    last = google.calls("streamGenerateContent")[-1].json
    assert "zanzibar" in outputs(last)[0]
    assert "I ran it." in texts(last)
    assert len(set(signatures(last))) == 2


@AGENTS
async def test_with_wait_mode_a_short_refusal_is_waited_out_inside_the_request(
    tmp_path: Path, agent: Agent
) -> None:
    async with running(tmp_path / "data", wait_mode=True) as rig:
        refusal = failures.rate_limited(DELAY_S)
        tell(rig, before(rig, refusal, does(agent.shell("true"))), says("All done."))
        ran = await agent.run(rig, tmp_path, "Go to work")
        assert (ran.code, ran.out.strip()) == (0, "All done.")
        after = await told(rig)
        assert after.outcomes == ["ok", "ok"]
        assert after.statuses == [200, 429, 200]
        refused, repeated = rig.google.calls("streamGenerateContent")[1:]
        assert repeated.at - refused.at >= DELAY_S


@AGENTS
async def test_without_wait_mode_the_agent_itself_comes_back_when_told(
    tmp_path: Path, agent: Agent
) -> None:
    async with running(tmp_path / "data") as rig:
        refusal = failures.rate_limited(DELAY_S)
        tell(rig, before(rig, refusal, does(agent.shell("true"))), says("All done."))
        ran = await agent.run(rig, tmp_path, "Go to work")
        assert (ran.code, ran.out.strip()) == (0, "All done.")
        after = await told(rig)
        assert after.outcomes == ["ok", "rate_limit", "ok"]
        assert after.statuses == [200, 429, 200]
        refused, repeated = rig.google.calls("streamGenerateContent")[1:]
        assert repeated.at - refused.at >= DELAY_S


@AGENTS
@pytest.mark.parametrize("wait_mode", [False, True])
async def test_an_exhausted_quota_ends_the_run_at_once_and_the_session_can_go_on_later(
    tmp_path: Path, agent: Agent, *, wait_mode: bool
) -> None:
    async with running(tmp_path / "data", wait_mode=wait_mode) as rig:
        refusal = failures.quota_exhausted()
        tell(rig, before(rig, refusal, does(agent.shell("echo zanzibar"))))
        ran = await agent.run(rig, tmp_path, "Go to work")
        assert ran.code == 1
        assert agent.out_of_quota in ran.out + ran.err
        after = await told(rig)
        assert after.outcomes == ["ok", "rate_limit"]
        assert after.statuses == [200, 429]
        tell(rig, says("All done."))
        ran = await agent.run(rig, tmp_path, "Go on", resume=True)
        assert (ran.code, ran.out.strip()) == (0, "All done.")
        assert (await told(rig)).statuses == [200, 429, 200]
        assert "zanzibar" in outputs(rig.sent[-1])[0]


@AGENTS
@pytest.mark.parametrize(
    "failure",
    [failures.internal(), failures.unavailable(), failures.malformed_function_call()],
    ids=["500", "503", "malformed-call"],
)
async def test_a_blip_in_the_middle_is_never_seen(
    tmp_path: Path, agent: Agent, failure: Failure
) -> None:
    async with running(tmp_path / "data") as rig:
        asked_again = 2 if failure.bend else 1
        first = before(rig, failure, does(agent.shell("true")))
        tell(rig, first, *[says("All done.")] * asked_again)
        ran = await agent.run(rig, tmp_path, "Go to work")
        assert (ran.code, ran.out.strip()) == (0, "All done.")
        after = await told(rig)
        assert after.outcomes == ["ok", "ok"]
        assert len(after.statuses) == 3
        assert after.unsaid == 0


@AGENTS
async def test_an_answer_torn_in_the_middle_is_asked_for_once_more(
    tmp_path: Path, agent: Agent
) -> None:
    async with running(tmp_path / "data") as rig:
        torn = before(rig, failures.connection_cut(after=1), does(agent.shell("true")))
        halves = Answer(parts=[{"text": "All is lost."}, {"text": " Or not."}], signed=True)
        tell(rig, torn, halves, says("All done."))
        ran = await agent.run(rig, tmp_path, "Go to work")
        assert (ran.code, ran.out.strip()) == (0, "All done.")
        after = await told(rig)
        assert after.outcomes == ["ok", "broken_answer", "ok"]
        assert after.statuses == [200] * 3
        assert "All is lost." not in texts(rig.sent[-1])


@AGENTS
async def test_a_wait_longer_than_the_keep_alive_is_spent_inside_the_stream(
    tmp_path: Path, agent: Agent
) -> None:
    async with running(tmp_path / "data", wait_mode=True, keep_alive_s=0.3) as rig:
        refusal = failures.rate_limited(DELAY_S)
        tell(rig, before(rig, refusal, does(agent.shell("true"))), says("All done."))
        ran = await agent.run(rig, tmp_path, "Go to work")
        assert (ran.code, ran.out.strip()) == (0, "All done.")
        after = await told(rig)
        assert after.outcomes == ["ok", "ok"]
        assert after.statuses == [200, 429, 200]


@AGENTS
async def test_a_quota_found_exhausted_after_a_wait_ends_the_run(
    tmp_path: Path, agent: Agent
) -> None:
    """The stream has begun by then; Claude Code asks once more to hear it as a status."""
    async with running(tmp_path / "data", wait_mode=True, keep_alive_s=0.3) as rig:
        short, long = failures.rate_limited(DELAY_S), failures.quota_exhausted()

        def refused_then(_: Asked) -> Answer:
            rig.google.fail(short)
            rig.google.fail(long, times=None)
            return does(agent.shell("true"))

        tell(rig, refused_then)
        ran = await agent.run(rig, tmp_path, "Go to work")
        assert ran.code == 1
        assert agent.out_of_quota in ran.out + ran.err
        asks = 2 if isinstance(agent, ClaudeCode) else 1
        after = await told(rig)
        assert after.outcomes == ["ok", *["rate_limit"] * asks]
        assert after.statuses == [200, 429, *[429] * asks]


@AGENTS
@pytest.mark.parametrize("wait_mode", [False, True])
async def test_the_rate_limit_of_the_proxy_spaces_a_session(
    tmp_path: Path, agent: Agent, *, wait_mode: bool
) -> None:
    async with running(tmp_path / "data", rate_limit_s=1.0, wait_mode=wait_mode) as rig:
        tell(rig, does(agent.shell("true")), says("All done."))
        ran = await agent.run(rig, tmp_path, "Go to work")
        assert (ran.code, ran.out.strip()) == (0, "All done.")
        after = await told(rig)
        assert after.outcomes == (["ok", "ok"] if wait_mode else ["ok", "rate_limit", "ok"])
        first, second = rig.google.calls("streamGenerateContent")
        assert second.at - first.at >= 1.0


@AGENTS
async def test_a_key_that_is_refused_in_the_middle_ends_the_run_with_what_to_do(
    tmp_path: Path, agent: Agent
) -> None:
    async with running(tmp_path / "data") as rig:

        def last_one(_: Asked) -> Answer:
            rig.google.api_keys.clear()
            return does(agent.shell("true"))

        tell(rig, last_one)
        ran = await agent.run(rig, tmp_path, "Go to work")
        assert ran.code == 1
        assert "or in GEMINI_API_KEY" in ran.out + ran.err
        after = await told(rig)
        refused = after.outcomes[1:]
        assert (after.outcomes[0], set(refused)) == ("ok", {"authentication"})
        # The status is owed (contract section 6); Codex repeats a 401 five times on its own.
        assert len(refused) <= (1 if agent.name == "claude-cli" else 6)
        assert after.statuses == [200, *[400] * len(refused)]


async def test_a_model_that_dies_in_a_tool_loop_costs_claude_code_nothing(tmp_path: Path) -> None:
    """Its first 404 comes in the middle: the next model of the tier goes on in the same request."""
    first, second, *_ = catalogue().candidates("best", "free", today())
    claude = ClaudeCode()
    async with running(tmp_path / "data") as rig:

        def last_one(_: Asked) -> Answer:
            rig.google.fail(refuse(keys.no_longer_available(first)), model=first, times=None)
            return does(claude.shell("echo zanzibar"))

        tell(rig, last_one, does(claude.shell("echo again")), says("All done."))
        ran = await claude.run(rig, tmp_path, "Go to work", model="claude-gp-gemini-best")
        assert (ran.code, ran.out.strip()) == (0, "All done.")
        asked = [entry.model for entry in rig.google.calls("streamGenerateContent")]
        assert asked == [first, first, second, second]
        assert (await told(rig)).outcomes == ["ok"] * 3
        assert outputs(rig.sent[-1]) == [
            "{'output': 'zanzibar'}",
            "{'output': 'again'}",
        ]
