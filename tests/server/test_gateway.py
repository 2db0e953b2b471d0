"""The gateway: changes are checked, saved and take effect without a restart."""

from pathlib import Path

import pytest

from server.gateway import Gateway
from server.settings import Settings, SettingsError, load


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
