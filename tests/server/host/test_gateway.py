"""The gateway: changes are checked, saved and take effect without a restart."""

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from server.host.gateway import ASK_AGAIN_S, Gateway
from server.settings.load import Settings, SettingsError, load
from tests.google.google import API_KEY, FakeGoogle
from tests.google.transport import InProcessTransport


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, token_file=tmp_path / "google_token.json")


async def test_a_change_takes_effect_and_is_there_at_the_next_start(settings: Settings) -> None:
    gateway = Gateway(settings)
    await gateway.change("WAIT_MODE", "true")
    await gateway.change("RATE_LIMIT", "1.5")
    await gateway.change("UPSTREAM", "demo")
    status = gateway.status()
    assert (status.throttle.wait_mode, status.throttle.rate_limit_s) == (True, 1.5)
    assert status.upstream == "demo"
    await gateway.aclose()
    again = load({"DATA_DIR": str(settings.data_dir)}, {}).settings
    assert (again.wait_mode, again.rate_limit_s, again.upstream) == (True, 1.5, "demo")


async def test_a_wrong_value_changes_nothing(settings: Settings) -> None:
    gateway = Gateway(settings)
    with pytest.raises(SettingsError):
        await gateway.change("RATE_LIMIT", "-1")
    assert gateway.settings == settings
    await gateway.aclose()
    assert not (settings.data_dir / "settings.toml").exists()


async def test_without_a_client_sign_in_is_not_offered(settings: Settings) -> None:
    gateway = Gateway(settings)
    offer = await gateway.offer_sign_in()
    assert offer.url is None
    (settings.data_dir / "client_secret.json").write_text("{}", "utf-8")
    assert "client_secret.json" in ((await gateway.offer_sign_in()).problem or "")
    await gateway.aclose()


async def test_without_an_upstream_the_account_is_nobody(settings: Settings) -> None:
    gateway = Gateway(settings)
    account = await gateway.check_account()
    assert not account.authenticated
    assert gateway.status().upstream is None
    await gateway.aclose()


async def test_google_is_asked_again_while_it_cannot_be_reached(settings: Settings) -> None:
    """At the start of the computer, before it has a network."""
    google, down = FakeGoogle(), True

    async def way(request: httpx.Request) -> httpx.Response:
        if down:
            raise httpx.ConnectError("no network", request=request)
        return await InProcessTransport(google).handle_async_request(request)

    async def sleep(seconds: float) -> None:
        nonlocal down
        slept.append(seconds)
        down = len(slept) < 3

    slept: list[float] = []
    http = httpx.AsyncClient(transport=httpx.MockTransport(way))
    gateway = Gateway(replace(settings, gemini_api_key=API_KEY), http=http)
    assert (await gateway.check_account()).problem is not None
    await gateway.check_until_reached(sleep)
    assert gateway.status().account.problem is None
    assert slept == list(ASK_AGAIN_S[:3])
    google.api_keys.clear()
    assert (await gateway.check_account()).problem is not None
    await gateway.check_until_reached(sleep)
    assert len(slept) == 3  # a refusal is an answer
    await gateway.aclose()


async def test_what_needs_a_restart_is_saved_and_waits(settings: Settings) -> None:
    gateway = Gateway(settings)
    await gateway.change("PORT", "9123")
    assert gateway.settings.port == settings.port
    assert gateway.pending == {"PORT": 9123}
    await gateway.change("TOKEN_FILE", "mine.json")
    await gateway.aclose()
    again = load({"DATA_DIR": str(settings.data_dir)}, {}).settings
    assert (again.port, again.token_file) == (9123, settings.data_dir / "mine.json")


async def test_an_empty_value_takes_a_setting_back_to_its_default(settings: Settings) -> None:
    gateway = Gateway(settings)
    for value, there in (("2", True), ("", False)):
        await gateway.change("RATE_LIMIT", value)
        text = (settings.data_dir / "settings.toml").read_text("utf-8")
        assert ("RATE_LIMIT" in text) is there
    assert gateway.settings.rate_limit_s == 0
    await gateway.aclose()


async def test_a_door_is_checked_whether_it_is_in_use_or_not(settings: Settings) -> None:
    gateway = Gateway(settings)
    demo = await gateway.check_door("demo")
    assert demo.problem is None
    assert demo.models > 0
    vertex = await gateway.check_door("vertex")
    assert vertex.problem is not None
    assert "not set up" in vertex.problem.message
    nothing = await gateway.check_door("nothing")
    assert nothing.problem is not None
    assert gateway.status().upstream is None
    await gateway.aclose()
