"""Settings: four sources, one order, and errors that name setting, value and what is allowed."""

import stat
from pathlib import Path

import pytest

from server.settings import load as settings_file
from server.settings.load import ALL_HOSTS, LOOPBACK_HOSTS, Settings, SettingsError, load
from server.settings.options import OPTIONS


def loaded(
    tmp_path: Path,
    *,
    toml: str = "",
    environ: dict[str, str] | None = None,
    arguments: dict[str, str] | None = None,
) -> Settings:
    if toml:
        (tmp_path / "settings.toml").write_text(toml, "utf-8")
    values = {"DATA_DIR": str(tmp_path), **(arguments or {})}
    return load(values, environ or {}).settings


def test_defaults_are_loopback_and_off(tmp_path: Path) -> None:
    settings = loaded(tmp_path)
    assert settings.host == LOOPBACK_HOSTS
    assert (settings.port, settings.rate_limit_s, settings.wait_mode) == (8081, 0.0, False)
    assert settings.token_file == tmp_path / "google_token.json"


def test_an_explicit_headless_listens_everywhere(tmp_path: Path) -> None:
    settings = load({"DATA_DIR": str(tmp_path)}, {}, listen_everywhere=True).settings
    assert settings.host == ALL_HOSTS


def test_command_line_beats_environment_beats_file(tmp_path: Path) -> None:
    toml = "PORT = 1\nRATE_LIMIT = 1\nWAIT_MODE = true"
    environ = {"PORT": "2", "RATE_LIMIT": "2.5"}
    settings = loaded(tmp_path, toml=toml, environ=environ, arguments={"PORT": "3"})
    assert (settings.port, settings.rate_limit_s, settings.wait_mode) == (3, 2.5, True)
    assert settings.source("PORT") == "command line"
    assert settings.source("RATE_LIMIT") == "environment"
    assert settings.source("WAIT_MODE") == "settings.toml"
    assert settings.source("QUEUE_LIMIT") == "default"
    assert settings.pinned("RATE_LIMIT")
    assert not settings.pinned("WAIT_MODE")


def test_an_empty_variable_is_unset(tmp_path: Path) -> None:
    assert loaded(tmp_path, environ={"PORT": "", "WAIT_MODE": " "}).port == 8081


@pytest.mark.parametrize("word", ["true", "1", "YES", "On", "TRUE"])
def test_booleans_in_any_spelling(tmp_path: Path, word: str) -> None:
    assert loaded(tmp_path, environ={"WAIT_MODE": word}).wait_mode is True


@pytest.mark.parametrize("word", ["false", "0", "No", "off"])
def test_negative_booleans_in_any_spelling(tmp_path: Path, word: str) -> None:
    assert loaded(tmp_path, environ={"WAIT_MODE": word}, toml="WAIT_MODE=true").wait_mode is False


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "80.5"),
        ("RATE_LIMIT", "-1"),
        ("RATE_LIMIT", "nan"),
        ("RATE_LIMIT", "soon"),
        ("WAIT_MODE", "maybe"),
        ("QUEUE_LIMIT", "-1"),
        ("UPSTREAM", "openai"),
        ("HOST", ","),
        ("HOST", "not a host"),
        ("HOST", "999.1.1.1"),
        ("TRUSTED_NETWORKS", "10.0.0.0/99"),
        ("CODE_ASSIST_ENDPOINT", "cloudcode"),
        ("GOOGLE_GEMINI_BASE_URL", "ftp://x"),
        ("GOOGLE_CLOUD_PROJECT", "123456789"),
        ("GOOGLE_CLOUD_PROJECT", "my project"),
        ("ALLOWED_HOSTS", "http://app.example"),
        ("ALLOWED_HOSTS", "*"),
        ("ALLOWED_ORIGINS", "app.example"),
        ("ALLOWED_ORIGINS", "https://app.example/page"),
        ("ALLOWED_ORIGINS", "https://*.example"),
        ("EMBEDDINGS", "yes"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_a_malformed_value_names_setting_value_and_what_is_allowed(
    tmp_path: Path, name: str, value: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, environ={name: value})
    text = str(caught.value)
    assert name in text
    assert value in text
    assert "allowed: " in text
    assert "environment" in text
    assert "\n" not in text


def test_a_malformed_secret_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, toml="GEMINI_API_KEY = 5")
    assert "5" not in str(caught.value)


@pytest.mark.parametrize(
    "key", ["\u201cAIza\u201d", "two words", "line\nend", "\u043a\u043b\u044e\u0447"]
)
def test_a_key_that_no_header_can_carry_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(SettingsError, match="GEMINI_API_KEY") as caught:
        loaded(tmp_path, environ={"GEMINI_API_KEY": key})
    assert key not in str(caught.value)


def test_a_host_is_allowed_on_any_port(tmp_path: Path) -> None:
    environ = {"ALLOWED_HOSTS": "proxy.example:8443, [fd00::1]"}
    assert loaded(tmp_path, environ=environ).allowed_hosts == ("proxy.example", "fd00::1")


def test_unknown_names_in_the_file_are_warnings(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("COLOUR = 'red'\nport = 9", "utf-8")
    result = load({"DATA_DIR": str(tmp_path)}, {})
    assert result.settings.port == 9
    assert result.warnings == ("settings.toml: unknown setting 'COLOUR' is ignored",)


def test_a_file_that_is_not_toml_is_an_error_not_a_default(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"settings\.toml"):
        loaded(tmp_path, toml="PORT = ")


def test_a_list_in_the_file_is_a_list(tmp_path: Path) -> None:
    assert loaded(tmp_path, toml="API_KEY = ['a', 'b']").api_keys == ("a", "b")
    assert loaded(tmp_path, environ={"API_KEY": "a, b,"}).api_keys == ("a", "b")


def test_google_api_key_is_the_second_name(tmp_path: Path) -> None:
    assert loaded(tmp_path, environ={"GOOGLE_API_KEY": "two"}).gemini_api_key == "two"
    both = {"GOOGLE_API_KEY": "two", "GEMINI_API_KEY": "one"}
    assert loaded(tmp_path, environ=both).gemini_api_key == "one"


def test_relative_token_file_stands_in_the_data_folder(tmp_path: Path) -> None:
    assert loaded(tmp_path, environ={"TOKEN_FILE": "t.json"}).token_file == tmp_path / "t.json"
    absolute = tmp_path / "elsewhere" / "t.json"
    assert loaded(tmp_path, environ={"TOKEN_FILE": str(absolute)}).token_file == absolute


def test_our_own_address_from_the_environment_is_ignored_with_a_warning(tmp_path: Path) -> None:
    environ = {"GOOGLE_GEMINI_BASE_URL": "http://localhost:8081"}
    result = load({"DATA_DIR": str(tmp_path)}, environ)
    assert result.settings.google_gemini_base_url == "https://generativelanguage.googleapis.com"
    assert "GOOGLE_GEMINI_BASE_URL" in result.warnings[0]


def test_our_own_address_from_the_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="CODE_ASSIST_ENDPOINT"):
        loaded(tmp_path, toml="CODE_ASSIST_ENDPOINT = 'http://127.0.0.1:8081/'")


def test_another_port_on_this_machine_is_somebody_else(tmp_path: Path) -> None:
    settings = loaded(tmp_path, environ={"CODE_ASSIST_ENDPOINT": "http://127.0.0.1:9999/"})
    assert settings.code_assist_endpoint == "http://127.0.0.1:9999"


def test_saving_keeps_comments_and_other_keys(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("# mine\nwait_mode = false\nPORT = 9\n", "utf-8")
    settings_file.save(tmp_path, {"WAIT_MODE": True, "PORT": None})
    text = (tmp_path / "settings.toml").read_text("utf-8")
    assert "# mine" in text
    assert loaded(tmp_path).wait_mode is True
    assert loaded(tmp_path).port == 8081
    assert stat.S_IMODE((tmp_path / "settings.toml").stat().st_mode) == 0o600


def test_a_changed_value_is_checked_like_any_other(tmp_path: Path) -> None:
    settings = loaded(tmp_path)
    assert settings.with_value("RATE_LIMIT", "2.5").rate_limit_s == 2.5
    with pytest.raises(SettingsError):
        settings.with_value("RATE_LIMIT", "often")


def test_aliases_and_tiers_come_from_the_file(tmp_path: Path) -> None:
    toml = "[aliases]\nmine = 'gemini-2.5-flash'\n[models]\nbest = 'gemini-3.1-pro-preview'\n"
    settings = loaded(tmp_path, toml=toml)
    assert settings.aliases == {"mine": "gemini-2.5-flash"}
    assert settings.model_best == "gemini-3.1-pro-preview"
    assert settings.source("MODEL_BEST") == "settings.toml"
    assert (settings.model_main, settings.model_fast) == ("auto", "auto")
    with pytest.raises(SettingsError, match="MODELS"):
        loaded(tmp_path, toml="[models]\nbiggest = 'x'\n")
    with pytest.raises(SettingsError, match="MODELS"):
        loaded(tmp_path, toml="models = 'x'\n")


def test_a_tier_is_set_by_its_own_name_before_the_table(tmp_path: Path) -> None:
    toml = "model_best = 'gemini-4-argon'\n[models]\nbest = 'gemini-4-neon'\nfast = 'Auto'\n"
    assert loaded(tmp_path, toml=toml).model_best == "gemini-4-argon"
    assert loaded(tmp_path, toml=toml).model_fast == "auto"
    environ = {"MODEL_BEST": "models/gemini-4-carbon"}
    assert loaded(tmp_path, environ=environ, toml=toml).model_best == "gemini-4-carbon"


@pytest.mark.parametrize("value", ["gemini-best", "GEMINI-FAST", "two words", "x" * 129, "a/b"])
def test_a_tier_is_no_tiers_name_and_no_sentence(tmp_path: Path, value: str) -> None:
    with pytest.raises(SettingsError, match="MODEL_MAIN"):
        loaded(tmp_path, environ={"MODEL_MAIN": value})


def test_a_tier_that_is_saved_replaces_the_one_in_the_table(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("[models]\nbest = 'gemini-4-neon'\nfast = 'gemini-4-argon'\n", "utf-8")
    settings_file.save(tmp_path, {"MODEL_BEST": "gemini-4-carbon"})
    settings = loaded(tmp_path)
    assert (settings.model_best, settings.model_fast) == ("gemini-4-carbon", "gemini-4-argon")
    settings_file.save(tmp_path, {"MODEL_BEST": None, "MODEL_FAST": None})
    assert loaded(tmp_path).model_best == "auto"
    assert "models" not in path.read_text("utf-8")


def test_google_cloud_credentials_are_found_where_google_looks(tmp_path: Path) -> None:
    assert loaded(tmp_path).google_application_credentials is None
    environ = {
        "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "key.json"),
        "CLOUDSDK_CONFIG": str(tmp_path),
    }
    settings = loaded(tmp_path, environ=environ)
    assert settings.google_application_credentials == tmp_path / "key.json"
    assert settings.gcloud_credentials == tmp_path / "application_default_credentials.json"


@pytest.mark.parametrize(
    ("platform", "environ", "folder"),
    [
        ("linux", {"HOME": "/home/me"}, "/home/me/.config/gcloud"),
        ("darwin", {"HOME": "/Users/me"}, "/Users/me/.config/gcloud"),
        ("win32", {"APPDATA": "/roaming", "HOME": "/x"}, "/roaming/gcloud"),
        ("linux", {}, None),
        ("win32", {}, None),
    ],
)
def test_gclouds_folder_is_the_platforms(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    platform: str,
    environ: dict[str, str],
    folder: str | None,
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    found = loaded(tmp_path, environ=environ).gcloud_credentials
    assert (found.parent if found else None) == (Path(folder) if folder else None)


@pytest.mark.parametrize("location", ["us-central1/", "evil.example", "US", "-", "a b"])
def test_a_location_cannot_be_part_of_another_address(tmp_path: Path, location: str) -> None:
    with pytest.raises(SettingsError, match="GOOGLE_CLOUD_LOCATION"):
        loaded(tmp_path, environ={"GOOGLE_CLOUD_LOCATION": location})
    good = loaded(tmp_path, environ={"GOOGLE_CLOUD_LOCATION": "europe-west4"})
    assert good.google_cloud_location == "europe-west4"


def test_every_setting_stands_in_the_readme() -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text("utf-8")
    assert [name for name in OPTIONS if f"`{name}`" not in readme] == []


@pytest.mark.parametrize("name", sorted(set(OPTIONS) - {"DATA_DIR"}))
def test_every_setting_goes_back_to_its_default(tmp_path: Path, name: str) -> None:
    settings = loaded(tmp_path)
    field = OPTIONS[name].field
    assert getattr(settings.with_value(name, ""), field) == getattr(settings, field)


def test_an_address_that_is_our_own_cannot_be_set(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="not this proxy's own"):
        loaded(tmp_path).with_value("GOOGLE_GEMINI_BASE_URL", "http://localhost:8081")


@pytest.mark.parametrize(
    ("hosts", "own"),
    [
        (("127.0.0.1", "::1"), "127.0.0.1"),
        (ALL_HOSTS, "127.0.0.1"),
        (("::",), "[::1]"),
        (("192.168.1.7",), "192.168.1.7"),
        (("fd00::7",), "[fd00::7]"),
    ],
)
def test_our_own_address_is_one_that_we_listen_on(
    tmp_path: Path, hosts: tuple[str, ...], own: str
) -> None:
    assert Settings(data_dir=tmp_path, host=hosts).own_host == own
