"""Doors: which upstream answers, and what is said when none can."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.auth.adc import Adc
from server.auth.eligibility import problem_for
from server.errors import AuthenticationError
from server.gemini.models import living_models
from server.settings.load import Settings
from server.upstreams import UPSTREAMS
from server.upstreams.base import Parts
from server.upstreams.choice import Doors
from server.upstreams.learned_models import LearnedModels


class Nobody:
    """Tokens of a server without a sign-in."""

    signed_in = False
    problem: Any = None

    def sign_in_error(self) -> AuthenticationError:
        return AuthenticationError(f"{self.problem.sentence} /setup")


def doors(tmp_path: Path, *, signed_in: bool = False, problem: Any = None, **chosen: Any) -> Doors:
    tokens: Any = Nobody()
    tokens.signed_in, tokens.problem = signed_in, problem
    settings = replace(Settings(data_dir=tmp_path), **chosen)
    adc = Adc(settings.google_application_credentials)
    parts = Parts(settings=settings, tokens=tokens, adc=adc, http=httpx.AsyncClient())
    return Doors(parts, UPSTREAMS, LearnedModels(parts.settings.data_dir))


def test_auto_takes_the_first_that_is_configured(tmp_path: Path) -> None:
    assert doors(tmp_path, gemini_api_key="k").chosen().name == "gemini-api"
    both = doors(tmp_path, gemini_api_key="k", signed_in=True)
    assert both.chosen().name == "code-assist"
    assert "gemini-api" in both.choice().reason


def test_vertex_counts_with_a_credentials_file_and_a_project(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    chosen: dict[str, Any] = {
        "google_application_credentials": file,
        "google_cloud_project": "p",
    }
    assert doors(tmp_path, **chosen).current() is None
    file.write_text("{}", "utf-8")
    assert doors(tmp_path, **chosen).chosen().name == "vertex"
    assert doors(tmp_path, **chosen, gemini_api_key="k").chosen().name == "gemini-api"
    assert doors(tmp_path, **chosen | {"google_cloud_project": None}).current() is None
    file.write_text('{"project_id": "its-own"}', "utf-8")
    assert doors(tmp_path, **chosen | {"google_cloud_project": None}).chosen().name == "vertex"


def test_vertex_chosen_by_name_needs_no_file(tmp_path: Path) -> None:
    assert doors(tmp_path, upstream="vertex").chosen().name == "vertex"


def test_the_demo_answers_only_when_named(tmp_path: Path) -> None:
    assert doors(tmp_path).current() is None
    assert doors(tmp_path, upstream="demo").chosen().name == "demo"


def test_a_choice_beats_what_is_configured(tmp_path: Path) -> None:
    chosen = doors(tmp_path, upstream="gemini-api", gemini_api_key="k", signed_in=True)
    assert chosen.chosen().name == "gemini-api"


@pytest.mark.parametrize("upstream", ["auto", "gemini-api", "code-assist"])
def test_nothing_configured_says_where_to_go(tmp_path: Path, upstream: str) -> None:
    with pytest.raises(AuthenticationError) as caught:
        doors(tmp_path, upstream=upstream).chosen()
    assert "http://127.0.0.1:8081/setup" in caught.value.message
    assert caught.value.should_retry is False
    assert caught.value.code == "google_sign_in_required"


def test_a_sign_in_that_google_ended_keeps_its_own_reason(tmp_path: Path) -> None:
    ended = doors(tmp_path, problem=problem_for("invalid_grant"))
    with pytest.raises(AuthenticationError) as caught:
        ended.chosen()
    assert caught.value.message.startswith(problem_for("invalid_grant").message)


def test_an_upstream_is_built_once_and_anew_after_a_change(tmp_path: Path) -> None:
    chosen = doors(tmp_path, gemini_api_key="k")
    first = chosen.chosen()
    assert chosen.chosen() is first
    chosen.use(replace(chosen.settings, gemini_api_key="other"))
    assert chosen.chosen() is not first


def test_an_upstream_stays_when_what_changed_is_none_of_its_business(tmp_path: Path) -> None:
    chosen = doors(tmp_path, gemini_api_key="k")
    first = chosen.chosen()
    chosen.use(replace(chosen.settings, rate_limit_s=2.0, google_cloud_location="us"))
    assert chosen.chosen() is first
    chosen.forget(first.name)
    assert chosen.chosen() is not first


def test_every_door_names_settings_that_exist() -> None:
    for door in UPSTREAMS.values():
        assert set(door.reads) <= set(Settings.__dataclass_fields__)


async def test_without_an_upstream_lists_still_answer(tmp_path: Path) -> None:
    assert await doors(tmp_path).available() == living_models("free")
