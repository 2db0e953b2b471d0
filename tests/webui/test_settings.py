"""The settings page: every setting, checked as a whole, named where it is wrong."""

import asyncio
import re
import tomllib
from html import unescape
from pathlib import Path

import pytest

from server.host.gateway import RESTART_AFTER_S
from server.settings.load import SettingsError, load
from server.settings.options import ALL_OPTIONS, RECORDED
from tests.rig import Rig, running
from webui.settings import FIXED, GROUPS, TABLES, model_choices, read_table, text_of


async def form(rig: Rig, **values: str) -> dict[str, str]:
    html = (await rig.http.get("/settings")).text
    found = re.search(r'name="token" value="([^"]*)"', html)
    assert found
    return {"token": unescape(found[1]), **values}


def saved(folder: Path) -> dict[str, object]:
    return tomllib.loads((folder / "settings.toml").read_text("utf-8"))


def test_every_setting_is_on_the_page_once() -> None:
    shown = [name for names in GROUPS.values() for name in names]
    assert sorted(shown) == sorted(set(ALL_OPTIONS) - RECORDED)


@pytest.mark.parametrize("name", sorted(set(ALL_OPTIONS) - {*TABLES, *FIXED, "KEYS"}))
def test_what_a_field_shows_can_be_read_back(tmp_path: Path, name: str) -> None:
    settings = load({"DATA_DIR": str(tmp_path)}, {}).settings
    field = ALL_OPTIONS[name].field
    value = getattr(settings, field)
    assert getattr(settings.with_value(name, text_of(value)), field) == value


def test_a_table_is_read_line_by_line() -> None:
    assert read_table("ALIASES", " a = b\n\nc=d ") == {"a": "b", "c": "d"}
    with pytest.raises(SettingsError, match="no equals"):
        read_table("ALIASES", "no equals sign")


async def test_every_setting_shows_its_meaning_and_its_source(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        html = unescape((await rig.http.get("/settings")).text)
    for name in (name for names in GROUPS.values() for name in names):
        assert f'id="{name}"' in html
        assert ALL_OPTIONS[name].meaning in html
    assert "from default" in html


async def test_a_wrong_field_is_named_and_nothing_is_saved(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        data = await form(rig, RATE_LIMIT="often", QUEUE_LIMIT="7", WAIT_MODE="false")
        answer = await rig.http.post("/settings", data=data)
        assert answer.status_code == 400
        html = unescape(answer.text)
        assert 'value="often"' in html
        assert "allowed: seconds, 0 to 86400" in html
        assert rig.gateway.settings.queue_limit == 100
    assert not (tmp_path / "settings.toml").exists()


async def test_only_what_was_changed_is_saved(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        data = await form(rig, RATE_LIMIT="0", QUEUE_LIMIT="7", WAIT_MODE="false")
        answer = await rig.http.post("/settings", data=data)
        assert answer.headers["location"] == "/settings?saved=QUEUE_LIMIT#group-1"
    assert saved(tmp_path) == {"QUEUE_LIMIT": 7}


async def test_what_needs_a_restart_waits_for_it(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        port = rig.gateway.settings.port
        await rig.http.post("/settings", data=await form(rig, PORT="9123", HOST="127.0.0.1"))
        assert rig.gateway.settings.port == port
        html = (await rig.http.get("/settings")).text
        assert "Restart needed" in html
        assert 'value="9123"' in html
    assert saved(tmp_path) == {"PORT": 9123, "HOST": ["127.0.0.1"]}


async def test_what_was_changed_back_waits_for_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        for level in ("debug", str(rig.gateway.settings.log_level)):
            await rig.http.post("/settings", data=await form(rig, LOG_LEVEL=level))
        assert "Restart needed" not in (await rig.http.get("/settings")).text


async def test_an_emptied_field_goes_back_to_its_default(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        await rig.http.post("/settings", data=await form(rig, GOOGLE_CLOUD_LOCATION="europe-west4"))
        assert rig.gateway.settings.google_cloud_location == "europe-west4"
        await rig.http.post("/settings", data=await form(rig, GOOGLE_CLOUD_LOCATION=""))
        assert rig.gateway.settings.google_cloud_location == "global"
    assert saved(tmp_path) == {}


async def test_a_secret_is_kept_replaced_and_removed_but_never_shown(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        await rig.http.post("/settings", data=await form(rig, GEMINI_API_KEY="another-key"))
        assert rig.gateway.settings.gemini_api_key == "another-key"
        assert "another-key" not in (await rig.http.get("/settings")).text
        await rig.http.post("/settings", data=await form(rig, GEMINI_API_KEY=""))
        assert rig.gateway.settings.gemini_api_key == "another-key"
        data = await form(rig, **{"GEMINI_API_KEY": "", "remove-GEMINI_API_KEY": "yes"})
        await rig.http.post("/settings", data=data)
        assert rig.gateway.settings.gemini_api_key is None


async def test_a_pinned_setting_changes_and_says_that_it_returns(tmp_path: Path) -> None:
    async with running(tmp_path, sources={"RATE_LIMIT": "environment"}) as rig:
        await rig.http.post("/settings", data=await form(rig, RATE_LIMIT="3"))
        assert rig.gateway.settings.rate_limit_s == 3
        html = (await rig.http.get("/settings")).text
    assert "set by the environment: that value returns at the next start" in html


async def test_an_address_that_is_our_own_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        data = await form(rig, GOOGLE_GEMINI_BASE_URL=rig.url)
        answer = await rig.http.post("/settings", data=data)
    assert answer.status_code == 400
    assert "own" in answer.text


async def test_wiping_empties_the_stores(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        answer = await rig.http.post("/settings", data=await form(rig, action="wipe", sure="yes"))
        assert answer.headers["location"] == "/settings?wiped"
        assert "are gone" in (await rig.http.get("/settings?wiped")).text
        refused = await rig.http.post("/settings", data={"action": "wipe"})
        assert refused.status_code == 403


async def test_a_restart_is_offered_where_it_can_be_done_and_asks_first(tmp_path: Path) -> None:
    asked: list[bool] = []
    async with running(tmp_path) as rig:
        await rig.http.post("/settings", data=await form(rig, PORT="9123", HOST="127.0.0.1"))
        assert "Restart the server…" not in (await rig.http.get("/settings")).text
        rig.gateway.on_restart = lambda: asked.append(True)
        assert "Restart the server…" in (await rig.http.get("/settings")).text
        answer = await rig.http.post("/settings", data=await form(rig, action="restart"))
        assert "port 9123" in answer.text
        assert "No request is running now." in answer.text
        bad = await rig.http.post("/settings", data={"action": "restart", "sure": "yes"})
        assert bad.status_code == 403
        await asyncio.sleep(RESTART_AFTER_S + 0.1)
        assert asked == []


async def test_a_restart_says_where_everything_will_be(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        rig.gateway.on_restart = lambda: None
        await rig.http.post("/settings", data=await form(rig, HOST="::1", PORT="9123"))
        answer = (await rig.http.post("/settings", data=await form(rig, action="restart"))).text
        assert "will then be at http://[::1]:9123/settings" in answer
        assert "the new address: http://[::1]:9123<" in answer


async def test_unknown_keys_and_comments_in_the_file_are_kept(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("# mine\nFROM_THE_FUTURE = 1\n", "utf-8")
    async with running(tmp_path) as rig:
        await rig.http.post("/settings", data=await form(rig, QUEUE_LIMIT="7"))
    text = (tmp_path / "settings.toml").read_text("utf-8")
    assert "# mine" in text
    assert saved(tmp_path) == {"FROM_THE_FUTURE": 1, "QUEUE_LIMIT": 7}


async def test_a_file_that_somebody_broke_costs_the_saving_and_is_said(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("a = = 1", "utf-8")
    async with running(tmp_path) as rig:
        await rig.http.post("/settings", data=await form(rig, QUEUE_LIMIT="7"))
        assert rig.gateway.settings.queue_limit == 7
        html = (await rig.http.get("/settings?saved=QUEUE_LIMIT")).text
        assert "Not saved:" in html
        assert "<strong>Saved:" not in html
        (tmp_path / "settings.toml").write_text("", "utf-8")
        await rig.http.post("/settings", data=await form(rig, QUEUE_LIMIT="8"))
        assert "Not saved:" not in (await rig.http.get("/settings")).text
    assert saved(tmp_path) == {"QUEUE_LIMIT": 8}


async def test_saving_nothing_says_so(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        answer = await rig.http.post("/settings", data=await form(rig, QUEUE_LIMIT="100"))
        html = (await rig.http.get(answer.headers["location"])).text
    assert "Nothing was changed" in html


async def test_a_tier_offers_the_models_that_live_with_their_prices(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        choices = dict(model_choices(rig.gateway.doors))
        html = unescape((await rig.http.get("/settings")).text)
        assert next(iter(choices)) == "auto"
        assert "$1.5 in, $7.5 out per million" in choices["gemini-4-hydrogen"]
        assert "$3 in, $15 out per million" in choices["gemini-4-neon"]
        assert "gemini-2.5-pro" not in choices
        for name in ("MODEL_BEST", "MODEL_MAIN", "MODEL_FAST"):
            assert f'list="choices-{name}"' in html
        assert html.count('<option value="gemini-4-hydrogen">') == 3
        data = await form(rig, MODEL_BEST="gemini-4-neon")
        assert (await rig.http.post("/settings", data=data)).status_code == 303
        assert saved(tmp_path)["MODEL_BEST"] == "gemini-4-neon"
        listed = (await rig.http.get("/v1/models/gemini-best")).json()
        assert listed["alias_of"] == "gemini-4-neon"


def fields(html: str) -> dict[str, str]:
    """What a browser would send of the page's form: hidden fields, texts, choices, ticked boxes."""
    body = html[html.index('id="all"') : html.index('id="wipe"')]
    sent = {}
    for tag in re.findall(r"<input [^>]*>", body):
        name, value = (re.search(rf' {a}="([^"]*)"', tag) for a in ("name", "value"))
        if name and not (' type="checkbox"' in tag and " checked" not in tag):
            sent[name[1]] = unescape(value[1]) if value else ""
    for name, text in re.findall(r'<textarea [^>]*name="([^"]*)"[^>]*>(.*?)</textarea>', body):
        sent[name] = unescape(text)
    for name, words in re.findall(r'<select [^>]*name="([^"]*)"[^>]*>(.*?)</select>', body, re.S):
        chosen = re.search(r"<option selected>([^<]*)", words)
        sent[name] = chosen[1] if chosen else re.findall(r"<option ?>([^<]*)", words)[0]
    return sent


async def test_saving_one_group_keeps_what_is_typed_in_the_others(tmp_path: Path) -> None:
    secret = "AIza-typed-and-not-saved"
    async with running(tmp_path) as rig:
        sent = fields((await rig.http.get("/settings")).text)
        typed = {"QUEUE_LIMIT": "7", "PORT": "not a port", "GEMINI_API_KEY": secret}
        answer = await rig.http.post("/settings", data=sent | typed | {"group": "Limits"})
        assert answer.status_code == 200
        assert "<strong>Saved:</strong> QUEUE_LIMIT." in answer.text
        assert secret not in answer.text
        assert saved(tmp_path) == {"QUEUE_LIMIT": 7}
        left = fields(answer.text)
        assert (left["PORT"], left["QUEUE_LIMIT"]) == ("not a port", "7")
        answer = await rig.http.post("/settings", data=left | {"group": "Reaching Gemini"})
        assert rig.gateway.settings.gemini_api_key == secret
        assert fields(answer.text)["PORT"] == "not a port"
        left = fields(answer.text) | {"PORT": "9123"}
        answer = await rig.http.post("/settings", data=left | {"group": "Listening"})
        assert answer.headers["location"].startswith("/settings?saved=PORT")


async def test_a_wrong_field_costs_no_typing_anywhere(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        sent = fields((await rig.http.get("/settings")).text)
        typed = {"RATE_LIMIT": "often", "QUEUE_LIMIT": "7", "LOG_LEVEL": "debug"}
        typed |= {"ALIASES": "one = gemini-main", "remove-GEMINI_API_KEY": "yes"}
        answer = await rig.http.post("/settings", data=sent | typed | {"group": "Limits"})
        assert answer.status_code == 400
        left = fields(answer.text)
        assert {name: left.get(name) for name in typed} == typed
        assert not (tmp_path / "settings.toml").exists()


async def test_a_stale_tab_undoes_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        first = fields((await rig.http.get("/settings")).text)
        second = dict(first)
        mine = {"RATE_LIMIT": "3", "ALIASES": "one = gemini-main\r\ntwo = gemini-fast"}
        await rig.http.post("/settings", data=first | mine)
        await rig.http.post("/settings", data=second | {"QUEUE_LIMIT": "7", "WAIT_MODE": "true"})
        assert rig.gateway.settings.rate_limit_s == 3
        assert rig.gateway.settings.queue_limit == 7
        assert set(rig.gateway.settings.aliases) == {"one", "two"}
        again = fields((await rig.http.get("/settings")).text)
        answer = await rig.http.post("/settings", data=again)
        assert answer.headers["location"] == "/settings?saved="


async def test_a_stale_dashboard_undoes_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        html = (await rig.http.get("/")).text
        sent = dict(
            re.findall(r'type="(?:hidden|number)" name="([^"]*)"[^>]* value="([^"]*)"', html)
        )
        await rig.gateway.change("WAIT_MODE", "true")
        await rig.http.post("/settings", data=sent | {"RATE_LIMIT": "2", "WAIT_MODE": "false"})
        assert rig.gateway.settings.rate_limit_s == 2
        assert rig.gateway.settings.wait_mode is True


async def test_wiping_asks(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        html = (await rig.http.get("/settings")).text
        await rig.http.post("/v1/responses", json={"model": "gpt-4o", "input": "hello"})
        for sure in ({}, {"sure": "no"}):
            answer = await rig.http.post("/settings", data=await form(rig, action="wipe", **sure))
            assert "<h1>Wipe the conversations?</h1>" in answer.text
            assert len(rig.gateway.responses._recent) == 1
        await rig.http.post("/settings", data=await form(rig, action="wipe", sure="yes"))
        assert not rig.gateway.responses._recent
    asked = html[html.index('id="wipe"') :]
    assert asked.index("<details><summary>Wipe them…") < asked.index("Yes, wipe them now")
    assert asked.count("<button") == 1
