"""Starting real agents in a folder of their own, with nothing of the user's around them.

An agent's whole life in a test is scripted: ``tell`` prepares one answer for every request that
Google should answer, in order, and ``told`` says what happened. A request too many is answered with
a plain sentence, so that no agent goes on for ever.
"""

import asyncio
import os
import re
import signal
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from server.demo.errors import Json
from server.gemini.signatures import BYPASS
from tests.google.failures import Failure
from tests.google.model import Answer, Asked, Script
from tests.rig import Rig

BIN = Path(__file__).parent / "node_modules" / ".bin"
README = Path(__file__).parents[2] / "README.md"
LONGEST_S = 60
MODELS = ("gemini-3.8-flash", "gemini-4-hydrogen")
"""Two kinds that live: the older serves every door; both demand signatures back."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run ended and what its user got to read."""

    code: int
    out: str
    err: str


class Agent(Protocol):
    """A coding agent as its user starts it: one prompt, no questions."""

    name: str
    """As the usage log calls it."""
    out_of_quota: str
    """What its user reads when the quota is used up."""

    async def run(
        self,
        rig: Rig,
        folder: Path,
        prompt: str,
        *more: str,
        model: str = MODELS[0],
        resume: bool = False,
    ) -> Ran:
        """One prompt to its end, in a new session or in the last one."""

    def shell(self, command: str) -> Json:
        """The function call that runs a command."""

    def look(self, image: Path) -> Json:
        """The function call that shows the model an image."""


class ClaudeCode:
    name = "claude-cli"
    out_of_quota = "Individual quota reached"

    async def run(
        self,
        rig: Rig,
        folder: Path,
        prompt: str,
        *more: str,
        model: str = MODELS[0],
        resume: bool = False,
    ) -> Ran:
        return await run(
            folder,
            "claude",
            *(["--continue"] if resume else []),
            "-p",
            prompt,
            "--dangerously-skip-permissions",
            *more,
            ANTHROPIC_BASE_URL=rig.url,
            ANTHROPIC_AUTH_TOKEN="any",
            ANTHROPIC_MODEL=model,
            CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        )

    def shell(self, command: str) -> Json:
        return call("Bash", command=command)

    def look(self, image: Path) -> Json:
        return call("Read", file_path=str(image))


class Codex:
    name = "codex_exec"
    out_of_quota = "Quota exceeded"

    async def run(
        self,
        rig: Rig,
        folder: Path,
        prompt: str,
        *more: str,
        model: str = MODELS[0],
        resume: bool = False,
    ) -> Ran:
        settings = folder / "home" / ".codex" / "config.toml"
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text(_codex_settings().replace("http://127.0.0.1:8081", rig.url), "utf-8")
        return await run(
            folder,
            "codex",
            "exec",
            "--skip-git-repo-check",
            "--dangerously-bypass-approvals-and-sandbox",
            "--model",
            model,
            *more,
            *(["resume", "--last"] if resume else []),
            "--",
            prompt,
        )

    def shell(self, command: str) -> Json:
        return call("exec_command", cmd=command)

    def look(self, image: Path) -> Json:
        return call("view_image", path=str(image))


def _codex_settings() -> str:
    """The ``config.toml`` that the README tells people to write."""
    found = re.search(r"```toml\n(model = .*?)```", README.read_text("utf-8"), re.DOTALL)
    assert found
    return found[1]


async def run(folder: Path, *command: str, **environ: str) -> Ran:
    """Run one agent to its end. Fails with everything it said when it does not come to one."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        str(BIN / command[0]),
        *command[1:],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "IS_SANDBOX": "1", **environ},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    reading = asyncio.create_task(process.communicate())
    try:
        await asyncio.wait({reading}, timeout=LONGEST_S)
    finally:
        if hangs := not reading.done():
            os.killpg(process.pid, signal.SIGKILL)
    out, err = await reading
    assert process.returncode is not None
    ran = Ran(process.returncode, out.decode(), err.decode())
    assert not hangs, ran
    return ran


# -- what the model says ------------------------------------------------------------------------


def call(name: str, **args: object) -> Json:
    return {"functionCall": {"name": name, "args": args}}


def does(*calls: Json) -> Answer:
    """An answer that calls functions, signed as Google signs it."""
    return Answer(parts=[dict(part) for part in calls], signed=True)


def says(text: str) -> Answer:
    return Answer(parts=[{"text": text}], signed=True)


_SURPLUS = says("Nobody expected this request.")


def tell(rig: Rig, *answers: Script) -> None:
    """Prepare exactly these answers."""
    rig.google.answers.clear()
    rig.google.answers.extend([*answers, *[_SURPLUS] * 50])


def before(rig: Rig, failure: Failure, answer: Answer, *, times: int | None = 1) -> Script:
    """``answer``, and the failure begins with the request after it."""

    def given(_: Asked) -> Answer:
        rig.google.fail(failure, times=times)
        return answer

    return given


# -- what came of it ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Told:
    """Both sides of the proxy after a run."""

    outcomes: list[str]
    """Of every request the agent sent, in order."""
    statuses: list[int | None]
    """Of every request Google got, in order."""
    unsaid: int
    """Prepared answers that nobody asked for."""


async def told(rig: Rig) -> Told:
    """What the usage log and Google say; every entry must be this one agent's."""
    recent = (await rig.usage())["recent_requests"]
    sent = rig.google.calls("streamGenerateContent")
    outcomes = [entry["outcome"] for entry in reversed(recent)]
    unsaid = sum(answer is not _SURPLUS for answer in rig.google.answers)
    return Told(outcomes, [entry.status for entry in sent], unsaid)


def texts(request: Json) -> str:
    """All that was said in a conversation."""
    parts = [part for content in request["contents"] for part in content["parts"]]
    return "\n".join(part["text"] for part in parts if "text" in part)


def outputs(request: Json) -> list[str]:
    """What the functions gave, in order."""
    parts = [part for content in request["contents"] for part in content["parts"]]
    results = [part["functionResponse"] for part in parts if "functionResponse" in part]
    return [str(result["response"]) for result in results]


def images(request: Json) -> list[str]:
    """The images of a conversation as base64, wherever the model's generation wants them."""
    parts = [part for content in request["contents"] for part in content["parts"]]
    nested = [p for part in parts for p in part.get("functionResponse", {}).get("parts", ())]
    return [part["inlineData"]["data"] for part in (*parts, *nested) if "inlineData" in part]


def signatures(request: Json) -> list[str]:
    """The signature of every step that called functions; none may be the bypass value."""
    steps = [
        [part for part in content["parts"] if "functionCall" in part]
        for content in request["contents"]
    ]
    found = [step[0]["thoughtSignature"] for step in steps if step]
    assert BYPASS not in found
    return found


def png(colour: bytes = b"\xff\0\0", size: int = 16) -> bytes:
    """A square of one colour; agents shrink and recode what is larger or odd."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + colour * size) * size)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
