"""Claude Code itself, headless, through the proxy with the fake Google behind it."""

from pathlib import Path
from typing import Any

import pytest

from server.google_fake import failures
from server.google_fake.model import Answer, Asked
from tests.agents.support import run_agent
from tests.rig import Rig, running

MODELS = ("gemini-2.5-pro", "gemini-3-flash-preview")


async def claude(rig: Rig, folder: Path, prompt: str, *more: str, model: str = MODELS[0]) -> str:
    return await run_agent(
        folder,
        "claude",
        "-p",
        prompt,
        "--dangerously-skip-permissions",
        *more,
        ANTHROPIC_BASE_URL=rig.url,
        ANTHROPIC_AUTH_TOKEN="any",
        ANTHROPIC_MODEL=model,
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
    )


def results_in(asked: Asked) -> list[Any]:
    """The function results of the last user turn."""
    parts = asked.request["contents"][-1]["parts"]
    return [part["functionResponse"] for part in parts if "functionResponse" in part]


def reads_then_answers(path: Path) -> Any:
    """A model that reads a file with Claude Code's own tool and quotes what it got."""

    def answer(asked: Asked) -> Answer:
        results = results_in(asked)
        if results:
            text = str(results[0]["response"])
            return Answer(parts=[{"text": f"It says: {text}"}])
        call = {"name": "Read", "args": {"file_path": str(path)}}
        return Answer(parts=[{"text": "Let me look."}, {"functionCall": call}], signed=True)

    return answer


@pytest.mark.parametrize("model", MODELS)
async def test_it_reads_a_file_with_a_tool_and_answers_from_it(tmp_path: Path, model: str) -> None:
    note = tmp_path / "note.txt"
    note.write_text("the secret word is zanzibar", "utf-8")
    async with running(tmp_path / "data") as rig:
        rig.google.answers.extend([reads_then_answers(note)] * 8)
        said = await claude(rig, tmp_path, f"Read {note} and tell me the secret word", model=model)
        assert "zanzibar" in said
        usage = await rig.usage()
        assert usage["failed_requests"] == 0
        assert usage["total_requests"] <= 4
        assert usage["recent_requests"][0]["client"] == "claude-cli"


async def test_a_short_refusal_in_the_middle_is_waited_out(tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("the secret word is zanzibar", "utf-8")
    async with running(tmp_path / "data", wait_mode=True) as rig:
        rig.google.answers.extend([reads_then_answers(note)] * 8)
        rig.google.fail(failures.rate_limited(delay_s=1.5))
        said = await claude(rig, tmp_path, f"Read {note} and tell me the secret word")
        assert "zanzibar" in said
        assert (await rig.usage())["failed_requests"] == 0


async def test_an_exhausted_quota_ends_at_once_with_googles_words(tmp_path: Path) -> None:
    async with running(tmp_path / "data") as rig:
        rig.google.fail(failures.quota_exhausted(), times=None)
        with pytest.raises(AssertionError, match="quota"):
            await claude(rig, tmp_path, "Hello")
        assert (await rig.usage())["total_requests"] <= 3
