"""The doctor: finds what is wrong, changes nothing, tells no secret."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from email.utils import formatdate
from pathlib import Path

import httpx
import pytest

from server import doctor
from server.doctor import Finding, render
from server.google_fake import account, failures
from server.redaction import learn
from tests.faults import ask, signed_in
from tests.rig import running


async def test_the_port_is_free_ours_or_somebody_elses(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        other.settimeout(3)
        looking = asyncio.create_task(asyncio.to_thread(doctor.port_holder, port))
        for _ in range(2):
            taken = await asyncio.to_thread(other.accept)
            taken[0].close()
        assert (await looking).level == "bad"
    assert doctor.port_holder(port) == Finding("ok", "port", f"{port} is free")
    async with running(tmp_path) as rig:
        held = await asyncio.to_thread(doctor.port_holder, int(rig.url.rpartition(":")[2]))
        assert held.level == "ok"
        assert "Gemini API Proxy" in held.told


def test_what_localhost_means(monkeypatch: pytest.MonkeyPatch) -> None:
    def both(*_given: object, **_more: object) -> list[tuple[object, ...]]:
        return [(0, 0, 0, "", ("::1", 0)), (0, 0, 0, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    assert doctor.local_names(("127.0.0.1", "::1")).level == "ok"
    assert doctor.local_names(("0.0.0.0", "::")).level == "ok"  # noqa: S104
    half = doctor.local_names(("127.0.0.1",))
    assert (half.level, "::1" in half.told) == ("look", True)


def test_the_data_folder_is_judged(tmp_path: Path) -> None:
    assert doctor.data_folder(tmp_path / "none")[0].level == "look"
    (tmp_path / "open").touch(mode=0o644)
    (tmp_path / "usage.sqlite3.corrupt-1").touch(mode=0o600)
    told = {finding.what: finding.told for finding in doctor.data_folder(tmp_path)}
    assert "open" in told["file rights"]
    assert "corrupt" in told["damaged files"]


def test_proxies_are_named_without_their_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hidden-word@proxy.example:3128")
    found = doctor.proxies()
    assert any("proxy.example:3128" in finding.told for finding in found)
    assert "hidden-word" not in render(found)


def answering(
    headers: dict[str, str],
) -> Callable[[httpx.Request], Coroutine[None, None, httpx.Response]]:
    async def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=headers)

    return answer


@pytest.mark.parametrize(
    ("date", "level"), [(1.0, "bad"), (None, "look"), (0.0, "ok")], ids=["off", "silent", "right"]
)
async def test_the_clock_is_compared(
    monkeypatch: pytest.MonkeyPatch, date: float | None, level: str
) -> None:
    monkeypatch.setattr("time.time", lambda: 1_800_000_000.0)
    told = {} if date is None else {"date": formatdate(1_800_000_000 - date * 7200, usegmt=True)}
    async with httpx.AsyncClient(transport=httpx.MockTransport(answering(told))) as http:
        assert (await doctor.clock(http, "https://google.example")).level == level


async def test_a_google_that_cannot_be_reached_is_said() -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        found = await doctor.clock(http, "http://127.0.0.1:9")
    assert found.level == "bad"
    assert "Could not connect" in found.told


async def test_account_project_and_last_refusal_are_told(tmp_path: Path) -> None:
    async with signed_in(tmp_path) as rig:
        rig.google.fail(failures.validation_required())
        await ask(rig, "openai")
        found = await doctor.account(rig.gateway)
        found.append(await doctor.last_refusal(rig.gateway))
        told = {finding.what: finding for finding in found}
        assert told["upstream"].told.startswith("code-assist")
        assert told["project"].told == account.PROJECT
        assert "permission_denied" in told["last refusal"].told


async def test_the_whole_report_holds_no_secret(tmp_path: Path) -> None:
    async with running(tmp_path, api_keys=("correct-horse-battery",)) as rig:
        settings = rig.gateway.settings.with_value("UPSTREAM", "demo")
        settings = settings.with_value("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:9")
        text = render(await doctor.examine(settings))
    learn("a-secret-word")
    assert "demo" in text
    assert "correct-horse-battery" not in text
    assert render([Finding("ok", "x", "has a-secret-word in it")]) == "ok   x  has … in it"
