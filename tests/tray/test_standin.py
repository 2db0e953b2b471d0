"""The page of a stopped server: its words, its buttons, and who may press them."""

import re
from collections.abc import Iterator
from dataclasses import replace
from queue import SimpleQueue

import httpx
import pytest

from server.host.control import Status, Trouble
from tests.support import HANGS_S
from tray.menu import Action
from tray.standin import StandIn, page

TAKEN = Status(trouble=Trouble("Port 8081 on 127.0.0.1 is in use. <Other>", 8082))
BROKEN = Status(trouble=Trouble("WAIT_MODE: 'maybe' (from settings.toml) cannot be used."))


class Bench:
    """A page over a status that can be changed."""

    def __init__(self) -> None:
        self.status = TAKEN
        self.acted: SimpleQueue[Action] = SimpleQueue()
        self.stand_in = StandIn(lambda: self.status, self.acted.put)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.stand_in.close()


@pytest.fixture
def http(bench: Bench) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=bench.stand_in.address, trust_env=False, timeout=HANGS_S) as client:
        yield client


def buttons(html: str) -> dict[str, str]:
    return {text: value for value, text in re.findall(r'value="(\d+)">([^<]*)<', html)}


def test_the_reason_and_the_remedies_are_told() -> None:
    html = page(TAKEN)
    assert "Port 8081 in use" in html
    assert "is in use. &lt;Other&gt;" in html
    assert list(buttons(html)) == ["Use port 8082 instead", "Try again", "Open data folder"]
    assert list(buttons(page(BROKEN))) == ["Try again", "Open data folder"]
    assert list(buttons(page(Status()))) == ["Start server", "Open data folder"]
    assert 'http-equiv="refresh"' not in html


@pytest.mark.parametrize("phase", ["starting", "stopping", "running"])
def test_while_something_happens_it_looks_again_and_offers_nothing(phase: str) -> None:
    html = page(replace(TAKEN, phase=phase))  # type: ignore[arg-type]
    assert 'http-equiv="refresh"' in html
    assert buttons(html) == {}


def test_a_button_is_an_intent(bench: Bench, http: httpx.Client) -> None:
    html = http.get("").text
    for text, action in (
        ("Use port 8082 instead", Action("accept port", value=8082)),
        ("Try again", Action("start")),
        ("Open data folder", Action("open folder")),
    ):
        answer = http.post("", data={"do": buttons(html)[text]})
        assert 'http-equiv="refresh"' in answer.text
        assert bench.acted.get(timeout=HANGS_S) == action
    for nonsense in ("7", "-1", "x", ""):
        assert http.post("", data={"do": nonsense}).status_code == 200
    assert bench.acted.empty()


def test_when_the_server_runs_the_page_leads_there(bench: Bench, http: httpx.Client) -> None:
    bench.status = Status(phase="running", port=8085)
    answer = http.get("?")
    assert (answer.status_code, answer.headers["location"]) == (303, "http://127.0.0.1:8085/")


def test_without_the_secret_path_there_is_nothing(bench: Bench, http: httpx.Client) -> None:
    origin = httpx.URL(bench.stand_in.address).join("/")
    for path in ("", "x", bench.stand_in.path[1:-2] + "/"):
        address = origin.join("/" + path)
        assert http.get(address).status_code == 404
        assert http.post(address, data={"do": "0"}).status_code == 404
    assert bench.acted.empty()


def test_a_form_too_long_is_refused(bench: Bench, http: httpx.Client) -> None:
    assert http.post("", content=b"x" * 2000).status_code == 400
    assert bench.acted.empty()


def test_a_connection_that_says_nothing_holds_nobody_up(http: httpx.Client) -> None:
    import socket  # noqa: PLC0415

    place = http.base_url
    with socket.create_connection((place.host, place.port or 0)):
        assert http.get("", timeout=HANGS_S).status_code == 200
