"""Access: who may call, decided before a body is read (contract section 5)."""

import stat
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from server.edge.access import Access, Caller, _resolve_word
from server.edge.keys import digest_of
from server.errors import (
    AuthenticationError,
    BadRequestError,
    LoopError,
    MisdirectedRequestError,
    PermissionDeniedError,
    ProxyError,
    WrongKeyError,
    WrongKindOfKeyError,
)
from server.settings.load import Settings
from server.settings.named_keys import NamedKey

LOCAL, LAN = "127.0.0.1", "192.168.1.7"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


def check(
    access: Access,
    peer: str = LOCAL,
    *,
    method: str = "POST",
    path: str = "/v1/messages",
    area: str = "api",
    address_key: str = "",
    **headers: str,
) -> Caller:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return access.check(
        method,
        path,
        {"host": "127.0.0.1:8081", **named},
        peer,
        "api" if area == "api" else "page",
        address_keys=(address_key,) if address_key else (),
    )


def ready(settings: Settings) -> Access:
    access = Access(settings)
    access.ensure_key()
    return access


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_loopback_needs_no_key(settings: Settings, peer: str) -> None:
    assert check(ready(settings), peer).local


@pytest.mark.parametrize("peer", [LAN, "2001:db8::1", "::ffff:10.0.0.1"])
def test_everybody_else_needs_one(settings: Settings, peer: str) -> None:
    access = ready(settings)
    with pytest.raises(AuthenticationError):
        check(access, peer)
    assert access.generated_key is not None
    assert not check(access, peer, authorization=f"Bearer {access.generated_key}").local


@pytest.mark.parametrize(
    "header", ["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-real-ip", "via"]
)
def test_a_forwarded_request_is_never_local(settings: Settings, header: str) -> None:
    with pytest.raises(AuthenticationError):
        check(ready(settings), **{header: "127.0.0.1"})


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "x-goog-api-key"])
def test_a_set_key_closes_loopback_and_opens_with_every_header(
    settings: Settings, header: str
) -> None:
    access = ready(replace(settings, api_keys=("first", "second")))
    with pytest.raises(AuthenticationError):
        check(access)
    with pytest.raises(AuthenticationError):
        check(access, **{header: "Bearer wrong" if header == "authorization" else "wrong"})
    for key in ("first", "second"):
        check(access, **{header: f"Bearer {key}" if header == "authorization" else key})


@pytest.mark.parametrize("peer", [LOCAL, LAN])
def test_two_different_keys_are_refused(settings: Settings, peer: str) -> None:
    access = ready(replace(settings, api_keys=("right",)))
    for other in ("dummy", "left"):
        with pytest.raises(BadRequestError, match="different keys"):
            check(access, peer, authorization=f"Bearer {other}", x_api_key="right")
    check(access, peer, authorization="Bearer right", x_api_key="right", x_goog_api_key="right")


def test_a_key_in_the_address_opens_but_does_not_excuse_the_host(settings: Settings) -> None:
    access = ready(replace(settings, api_keys=("right",)))
    check(access, LAN, address_key="right")
    with pytest.raises(AuthenticationError):
        check(access, LAN, address_key="wrong")
    with pytest.raises(BadRequestError, match="different keys"):
        check(access, LAN, address_key="right", x_goog_api_key="left")
    with pytest.raises(MisdirectedRequestError):
        check(access, LAN, address_key="right", host="evil.example")


def test_a_key_of_our_form_that_is_unknown_is_refused_here_too(settings: Settings) -> None:
    access = ready(settings)
    check(access, x_api_key="any")
    with pytest.raises(WrongKeyError):
        check(access, x_api_key="gp-no-longer-known")


def test_trusted_networks_need_no_key(settings: Settings) -> None:
    access = ready(replace(settings, trusted_networks=("192.168.0.0/16",)))
    check(access, LAN)
    with pytest.raises(AuthenticationError):
        check(access, LAN, x_forwarded_for="10.1.1.1")


@pytest.mark.parametrize(
    "host",
    [
        "localhost:1",
        "127.0.0.1",
        "[::1]:8081",
        "app.localhost",
        "192.168.1.2:8081",
        "host.docker.internal",
        "LOCALHOST.",
    ],
)
def test_hosts_that_are_this_machine(settings: Settings, host: str) -> None:
    check(ready(settings), host=host)


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io"])
def test_a_foreign_host_is_misdirected(settings: Settings, host: str) -> None:
    with pytest.raises(MisdirectedRequestError):
        check(ready(settings), host=host)


@pytest.mark.parametrize("host", ["", "a b", "localhost:port", "[::1", "a/b", "user@localhost"])
def test_an_unreadable_host_is_a_bad_request(settings: Settings, host: str) -> None:
    with pytest.raises(BadRequestError):
        check(ready(settings), host=host)


def test_a_valid_key_excuses_the_host_and_an_allowed_host_needs_none(settings: Settings) -> None:
    access = ready(replace(settings, api_keys=("right",)))
    check(access, host="gateway.example", x_api_key="right")
    check(ready(replace(settings, allowed_hosts=("proxy",))), host="proxy:8080")


@pytest.mark.parametrize(
    "origin",
    [
        "http://127.0.0.1:8081",
        "http://localhost:3000",
        "http://[::1]:5",
        "http://a.localhost",
        "vscode-webview://abc",
        "app://obsidian.md",
        "tauri://localhost",
    ],
)
def test_allowed_origins_are_echoed(settings: Settings, origin: str) -> None:
    assert check(ready(settings), origin=origin).allowed_origin == origin


@pytest.mark.parametrize(
    "origin",
    [
        *("null", "https://evil.example", "http://localhost.evil.example", "file://", ""),
        # No browser sends these; each could be read as local by half.
        *("http://127.0.0.1:8081.evil.example", "http://evil.example@localhost", "http://[::1"),
        *("http://localhost/evil", "http://localhost,http://evil.example", "app:evil"),
    ],
)
def test_a_foreign_origin_is_refused(settings: Settings, origin: str) -> None:
    with pytest.raises(PermissionDeniedError):
        check(ready(settings), origin=origin)


def test_cross_site_requests_pass_only_as_a_visit_to_a_page(settings: Settings) -> None:
    access = ready(settings)
    visit = {
        "sec_fetch_site": "cross-site",
        "sec_fetch_mode": "navigate",
        "sec_fetch_dest": "document",
    }
    check(access, method="GET", path="/", area="page", **visit)
    for tried in (
        {"method": "GET", "path": "/v1/models", "area": "api"},
        {"method": "POST", "path": "/setup", "area": "page"},
    ):
        with pytest.raises(PermissionDeniedError):
            check(access, **tried, **visit)
    with pytest.raises(PermissionDeniedError):
        check(access, method="GET", path="/", area="page", sec_fetch_site="cross-site")


def test_our_own_via_is_a_loop(settings: Settings) -> None:
    with pytest.raises(LoopError):
        check(ready(settings), via="1.1 gemini-api-proxy")


def test_health_and_the_way_back_from_google_need_no_key(settings: Settings) -> None:
    access = ready(replace(settings, api_keys=("right",)))
    for path in ("/health", "/auth", "/oauth2callback"):
        check(access, LAN, method="GET", path=path, area="page")


def test_a_preflight_needs_no_key_but_a_known_origin(settings: Settings) -> None:
    access = ready(replace(settings, api_keys=("right",)))
    asked = {"access_control_request_method": "POST"}
    check(access, method="OPTIONS", origin="http://localhost:3000", **asked)
    with pytest.raises(ProxyError):
        check(access, method="OPTIONS", origin="https://evil.example", **asked)


@pytest.mark.parametrize("peer", [LOCAL, LAN])
def test_a_named_key_that_is_over_opens_nothing_here_either(settings: Settings, peer: str) -> None:
    for day, opens in ((date(2999, 1, 1), True), (date(2001, 1, 1), False)):
        keys = {"bob": NamedKey(digest_of("bobs-key"), day)}
        access = ready(replace(settings, named_keys=keys))
        if opens:
            assert check(access, peer, x_api_key="bobs-key").kind == "named key"
            continue
        with pytest.raises(WrongKeyError):
            check(access, peer, x_api_key="bobs-key")


def test_without_a_file_the_generated_key_stays_what_it_is(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("server.edge.access.write_private", refuse)
    access = ready(settings)
    first = access.generated_key
    access.ensure_key()
    assert access.generated_key == first


def cookie_of(access: Access, value: str) -> str:
    return f"a=b; {access.cookie_name}={value}"


def test_a_login_opens_pages_only_and_is_random(settings: Settings) -> None:
    access = ready(replace(settings, api_keys=("right",)))
    first, second = access.log_in("right", here=False), access.log_in("right", here=False)
    assert first != second
    assert "right" not in first
    check(access, LAN, method="GET", path="/", area="page", cookie=cookie_of(access, first))
    with pytest.raises(AuthenticationError):
        check(access, LAN, cookie=cookie_of(access, first))
    with pytest.raises(AuthenticationError):
        check(access, LAN, method="GET", path="/", area="page", cookie=cookie_of(access, "x"))
    access.sessions.end(first)
    with pytest.raises(AuthenticationError):
        check(access, LAN, method="GET", path="/", area="page", cookie=cookie_of(access, first))
    check(access, LAN, method="GET", path="/", area="page", cookie=cookie_of(access, second))


def test_a_login_ends_with_the_key_it_was_made_with(settings: Settings) -> None:
    access = ready(replace(settings, api_keys=("right", "other")))
    logins = {key: cookie_of(access, access.log_in(key, here=False)) for key in ("right", "other")}
    access.use(replace(settings, api_keys=("other",)))
    check(access, LAN, method="GET", path="/", area="page", cookie=logins["other"])
    with pytest.raises(AuthenticationError):
        check(access, LAN, method="GET", path="/", area="page", cookie=logins["right"])


def test_only_a_page_key_logs_in(settings: Settings) -> None:
    keys = {"bob": NamedKey(digest_of("bobs-key"))}
    access = ready(replace(settings, api_keys=("api",), admin_key="boss", named_keys=keys))
    with pytest.raises(WrongKeyError):
        access.log_in("wrong", here=True)
    for here in (True, False):
        with pytest.raises(WrongKindOfKeyError, match="ADMIN_KEY"):
            access.log_in("bobs-key", here=here)
        access.log_in("boss", here=here)
    with pytest.raises(WrongKindOfKeyError, match="ADMIN_KEY"):
        access.log_in("api", here=False)
    access.log_in("api", here=True)


def test_the_generated_key_is_private_and_kept(settings: Settings) -> None:
    first, second = Access(settings), Access(settings)
    assert first.ensure_key() is True
    assert second.ensure_key() is False
    assert first.generated_key == second.generated_key
    mode = stat.S_IMODE((settings.data_dir / "api_key").stat().st_mode)
    assert mode == 0o600


@pytest.mark.parametrize("damage", [b"", b"\0" * 33, b"\xff\xfe", b"gp-half\na line"])
def test_a_damaged_key_file_is_replaced(settings: Settings, damage: bytes) -> None:
    """As a power cut leaves it: no client could send such a key."""
    (settings.data_dir / "api_key").write_bytes(damage)
    access = Access(settings)
    assert access.ensure_key() is True
    assert access.is_key((settings.data_dir / "api_key").read_text("utf-8").strip())


ROUTES = """Iface\tDestination\tGateway \tFlags
eth0\t0011AC\t00000000\t0001
eth0\t00000000\t010011AC\t0003
"""


def test_the_word_gateway_is_the_default_route(tmp_path: Path) -> None:
    routes = tmp_path / "route"
    routes.write_text(ROUTES)
    assert _resolve_word("gateway", routes) == "172.17.0.1"
    assert _resolve_word("10.0.0.0/8", routes) == "10.0.0.0/8"


@pytest.mark.parametrize("shown", [False, True])
def test_a_gateway_that_cannot_be_found_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, shown: bool
) -> None:
    """A service manager may hide /proc/net (systemd: ``ProcSubset=pid``)."""
    routes = tmp_path / "route"
    if shown:
        routes.write_text(ROUTES.rpartition("eth0")[0])
    assert _resolve_word("gateway", routes) is None
    (said,) = caplog.messages
    assert said.startswith("TRUSTED_NETWORKS=gateway trusts nobody: ")
