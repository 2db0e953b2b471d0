"""The doctor: finds what is wrong, changes nothing, tells no secret."""

import asyncio
import json
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from server.host import doctor
from server.host.doctor import Check, Finding, render
from server.host.gateway import Gateway
from server.host.network_probe import Reached
from server.redaction import learn
from server.settings.load import Settings
from tests.faults import ask, signed_in
from tests.google import account, failures
from tests.rig import running
from tests.support import HANGS_S


async def test_the_port_is_free_ours_or_somebody_elses(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        other.settimeout(HANGS_S)
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
    assert doctor.local_names(("127.0.0.1", "::1"), 8081).level == "ok"
    assert doctor.local_names(("0.0.0.0", "::"), 8081).level == "ok"  # noqa: S104
    half = doctor.local_names(("127.0.0.1",), 8099)
    assert (half.level, "::1" in half.told) == ("warn", True)
    assert "http://127.0.0.1:8099" in half.remedy


def test_the_data_folder_is_judged(tmp_path: Path) -> None:
    assert doctor.data_folder(tmp_path / "none")[0].level == "ok"
    (tmp_path / "open").touch(mode=0o644)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "deep").touch(mode=0o640)
    (tmp_path / "usage.sqlite3.corrupt-1").touch(mode=0o600)
    tmp_path.chmod(0o755)
    told = {finding.what: finding.told for finding in doctor.data_folder(tmp_path)}
    assert "open, sub/deep" in told["file rights"]
    assert "corrupt" in told["damaged files"]
    tmp_path.chmod(0o700)  # what the app makes: nobody gets at what is in it
    assert "file rights" not in {finding.what for finding in doctor.data_folder(tmp_path)}


def test_proxies_are_named_without_their_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hidden-word@proxy.example:3128")
    found = doctor.proxies()
    assert any("proxy.example:3128" in finding.told for finding in found)
    assert "hidden-word" not in render(found)


async def test_account_project_and_last_refusal_are_told(tmp_path: Path) -> None:
    async with signed_in(tmp_path) as rig:
        rig.google.fail(failures.validation_required())
        await ask(rig, "openai")
        rig.gateway.settings = replace(rig.gateway.settings, code_assist_endpoint=rig.url)
        found = await doctor.examine(rig.gateway.settings, gateway=rig.gateway)
        told = {finding.what: finding for finding in found}
        assert told["upstream"].told.startswith("code-assist")
        assert told["port"].told.endswith("served by this program")
        assert told["token"].told == "there, and renewed by itself"
        assert told["licence"].level == told["way to Google"].level == told["clock"].level == "ok"
        assert told["project"].told == account.PROJECT
        assert "permission_denied" in told["last refusal"].told
        credential = rig.gateway.doors.chosen().credential
        await rig.gateway.learned.refuse(credential, "gemini-x", "licence")
        found = doctor.models(rig.gateway)
        tiers = [finding.told.partition(":")[0] for finding in found[:3]]
        assert tiers == ["gemini-best", "gemini-main", "gemini-fast"]
        assert "gemini-x: it is not in the licence" in found[3].told


async def test_a_tier_set_to_a_refused_model_is_bad(tmp_path: Path) -> None:
    async with running(tmp_path, model_best="gemini-4-neon") as rig:
        await rig.gateway.learned.refuse(
            rig.gateway.doors.chosen().credential, "gemini-4-neon", "plan"
        )
        best, main, *_ = doctor.models(rig.gateway)
        assert (best.level, main.level) == ("bad", "ok")
        assert "gemini-4-neon" in best.told


async def test_the_whole_report_holds_no_secret(tmp_path: Path) -> None:
    async with running(tmp_path, api_keys=("correct-horse-battery",)) as rig:
        settings = rig.gateway.settings.with_value("UPSTREAM", "demo")
        settings = settings.with_value("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:9")
        text = render(await doctor.examine(settings))
    learn("a-secret-word")
    assert "demo" in text
    assert "correct-horse-battery" not in text
    assert render([Finding("bad", "x", "has a-secret-word in it", "do b")]) == (
        "bad  x  has … in it\n        -> do b"
    )


async def test_whatever_breaks_or_hangs_is_one_line_and_the_others_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that never answers, a check that raises, an account that is never told."""
    never = threading.Event()
    asked = ["localhost", "0.0.0.0"]  # noqa: S104

    def resolve(host: str, *_given: object, **_more: object) -> list[tuple[object, ...]]:
        if host not in asked:
            never.wait(600)
        return [(0, 0, 0, "", ("127.0.0.1", 0))]

    def broken() -> list[Finding]:
        raise OSError("no such thing")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(doctor, "REACH_S", 0.2)
    monkeypatch.setattr(doctor, "CHECK_S", 2.0)
    settings = Settings(data_dir=tmp_path, gemini_api_key="correct-horse-key")
    more = [Check("broken", broken), Check("slow", lambda: (never.wait(600) and []) or [])]
    began = time.monotonic()
    try:
        found = await doctor.examine(settings, more=more)
        assert time.monotonic() - began < HANGS_S
    finally:
        never.set()
    told = {finding.what: finding for finding in found}
    assert "no such thing" in told["broken"].told
    assert told["slow"].level == "warn"
    assert told["way to Google"].level == "bad"
    assert told["account"].told.startswith("not asked")
    assert told["localhost"].level == "ok"
    assert all(finding.remedy for finding in found if finding.level != "ok")


def test_a_sign_in_that_cannot_be_renewed_is_said(tmp_path: Path) -> None:
    file = tmp_path / "google_token.json"
    gateway = Gateway(Settings(data_dir=tmp_path, token_file=file, upstream="code-assist"))
    levels = []
    for content in (
        None,
        {"access_token": "a-token"},
        {"token": "b-token", "expiry": "2990-01-01"},
    ):
        if content is not None:
            file.write_text(json.dumps(content))
        levels.append((doctor.token(gateway)[0].level, doctor.token(gateway)[0].told))
    assert [level for level, _ in levels] == ["bad", "bad", "warn"]
    assert "expired" in levels[1][1]
    assert "2990-01-01" in levels[2][1]
    asyncio.run(gateway.aclose())


@pytest.mark.parametrize(
    ("reached", "what", "level"),
    [
        (Reached(host="a.test", trouble="no"), "way to Google", "bad"),
        (Reached(host="a.test", ahead_s=7200.0), "clock", "bad"),
        (Reached(host="a.test", ahead_s=-7200.0), "clock", "bad"),
        (Reached(host="a.test"), "clock", "warn"),
        (Reached(host="a.test", ahead_s=1.0), "clock", "ok"),
        (
            Reached(host="x.googleapis.com", issuer="Corp Proxy", ahead_s=0),
            "TLS inspection",
            "warn",
        ),
        (Reached(host="x.googleapis.com", issuer="Google Trust Services"), "TLS inspection", "ok"),
        (Reached(host="a.test", issuer="Corp Proxy", ahead_s=0), "TLS inspection", "ok"),
    ],
)
def test_the_way_to_google_is_judged(reached: Reached, what: str, level: str) -> None:
    told = {finding.what: finding for finding in doctor.way(reached)}
    assert told[what].level == level


def test_a_caller_without_an_event_loop_gets_the_same(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, upstream="demo")
    what = [finding.what for finding in doctor.report(settings)]
    assert what[:3] == ["version", "system", "port"]
    assert "last refusal" in what
