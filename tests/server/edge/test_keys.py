"""The keys of the server, by kind."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from server.edge.keys import Keyring, digest_of
from server.settings.load import Settings, SettingsError, load
from server.settings.named_keys import NamedKey

TODAY = date.today()  # noqa: DTZ011  # a key ends with a local day


def kind_of(ring: Keyring, given: str) -> str | None:
    key = ring.find(given)
    return key.kind if key else None


def test_every_key_is_known_by_its_kind(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path,
        api_keys=("one", "two"),
        admin_key="boss",
        named_keys={"bob": NamedKey(digest_of("gp-bob"))},
    )
    ring = Keyring(settings, "generated")
    assert kind_of(ring, "two") == "api key"
    assert kind_of(ring, "boss") == "admin key"
    assert kind_of(ring, "gp-bob") == "named key"
    assert [kind_of(ring, word) for word in ("", "on", "generated", "bob", "\udcff")] == [None] * 5


def test_the_generated_key_stays_beside_named_and_admin_keys(tmp_path: Path) -> None:
    named = {"bob": NamedKey(digest_of("gp-bob"))}
    settings = Settings(data_dir=tmp_path, admin_key="boss", named_keys=named)
    assert kind_of(Keyring(settings, "generated"), "generated") == "api key"


@pytest.mark.parametrize(("days", "opens"), [(0, True), (1, True), (-1, False)])
def test_a_named_key_ends_with_its_last_day(tmp_path: Path, days: int, opens: bool) -> None:
    key = NamedKey(digest_of("gp-bob"), TODAY + timedelta(days))
    found = Keyring(Settings(data_dir=tmp_path, named_keys={"bob": key}), None).find("gp-bob")
    assert found is not None
    assert found.is_over is not opens


@pytest.mark.parametrize(
    "entry",
    [
        *("", 'sha256 = "abc"', f"sha256 = '{'g' * 64}'", "sha256 = 1"),
        f"sha256 = '{'a' * 64}'\nexpires = 'soon'",
        f"sha256 = '{'a' * 64}'\nbudget = 1",
    ],
)
def test_a_named_key_without_a_digest_or_with_a_wrong_value_ends_the_start(
    tmp_path: Path, entry: str
) -> None:
    (tmp_path / "settings.toml").write_text(f"[keys.bob]\n{entry}\n", "utf-8")
    with pytest.raises(SettingsError, match="KEYS"):
        load({"DATA_DIR": str(tmp_path)}, {})


def test_named_keys_are_read_from_the_file(tmp_path: Path) -> None:
    text = f"[keys.bob]\nsha256 = '{digest_of('gp-bob').upper()}'\nexpires = 2999-01-31\n"
    (tmp_path / "settings.toml").write_text(text, "utf-8")
    settings = load({"DATA_DIR": str(tmp_path)}, {}).settings
    assert settings.named_keys["bob"] == NamedKey(digest_of("gp-bob"), date(2999, 1, 31))


def test_admin_key_is_no_api_key(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="ADMIN_KEY") as caught:
        load({"DATA_DIR": str(tmp_path)}, {"API_KEY": "first,same-key", "ADMIN_KEY": "same-key"})
    assert "same-key" not in str(caught.value)
