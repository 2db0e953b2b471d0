"""What is known of models, on which day, and which one a tier takes."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from server.gemini.catalogue import Catalogue, catalogue, today, use
from server.gemini.catalogue_file import read_table
from server.gemini.known import DOORS, TIERS, Door, Kind, Tier

NOW = date(2026, 11, 28)
DECEMBER, FEBRUARY, JULY = date(2026, 12, 2), date(2027, 2, 1), date(2027, 7, 1)


@pytest.fixture(scope="module")
def known() -> Catalogue:
    return Catalogue(read_table())


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Path]:
    """Where a user's own table goes; the shipped one is in use again afterwards."""
    yield tmp_path / "models.toml"
    use(None)


# ── ids ──


def test_an_id_outside_the_table_counts_as_the_newest_kind(known: Catalogue) -> None:
    other = known.model("gemini-9-future")
    assert not other.listed
    assert other.kind == "chat"
    assert other.traits == known.table.newest.traits
    assert other.price(NOW) is None
    assert known.model("x" * 100_000).id == "x" * 128


@pytest.mark.parametrize(
    ("model_id", "like"),
    [
        ("gemini-3.8-flash@default", "gemini-3.8-flash"),
        ("gemini-2.5-flash-001", "gemini-2.5-flash"),
        ("gemini-2.5-pro-preview-06-05", "gemini-2.5-pro"),
        ("gemini-3-flash", "gemini-3.5-flash"),
        ("gemini-2.5-flash-image-preview", "gemini-2.5-flash-image"),
    ],
)
def test_a_revision_is_known_as_its_model(known: Catalogue, model_id: str, like: str) -> None:
    found, base = known.model(model_id), known.model(like)
    assert (found.id, found.traits, found.prices) == (model_id, base.traits, base.prices)
    assert found.kind == base.kind


@pytest.mark.parametrize(
    ("model_id", "kind"),
    [
        ("gemini-9-flash-image", "image"),
        ("gemini-2.5-flash-native-audio-preview-12-2025", "live"),
        ("gemini-9-flash-tts", "tts"),
        ("gemini-robotics-er-2-preview", "other"),
        ("gemini-9-computer-use-preview", "other"),
        ("deep-research-pro-preview-10-2026", "interactions"),
        ("gemini-omni-2-flash", "interactions"),
        ("lyria-4", "other"),
        ("aqa", "other"),
        ("gemma-5-27b-it", "chat"),
        ("gemini-5-boron", "chat"),
    ],
)
def test_the_words_of_an_unlisted_id_say_what_it_is(
    known: Catalogue, model_id: str, kind: Kind
) -> None:
    assert known.model(model_id).kind == kind


def test_a_name_that_google_moves_has_the_abilities_of_where_it_leads(known: Catalogue) -> None:
    latest = known.model("gemini-flash-lite-latest")
    assert latest.traits == known.model("gemini-3.5-flash-lite").traits
    assert known.answering(latest.id, "free", NOW).id == "gemini-3.5-flash-lite"
    assert latest.id not in known.living("free", NOW)


# ── days ──


@pytest.mark.parametrize("on", [NOW, DECEMBER, FEBRUARY, JULY])
@pytest.mark.parametrize("door", ["free", "paid", "vertex"])
def test_the_first_choice_of_a_day_is_the_first_that_lives(
    known: Catalogue, on: date, door: Door
) -> None:
    for tier in TIERS:
        wanted = known.preference(tier, door)
        assert known.choose(tier, door, on) == next(
            model for model in wanted if known.model(model).living(door, on)
        )


def test_what_has_ended_is_no_candidate(known: Catalogue) -> None:
    assert "gemini-3.6-flash" in known.candidates("best", "vertex", DECEMBER)
    assert "gemini-3.6-flash" not in known.candidates("best", "vertex", FEBRUARY)
    assert "gemini-3.6-flash" in known.candidates("best", "paid", FEBRUARY)
    assert "gemini-3.1-flash-lite" in known.candidates("fast", "free", FEBRUARY)
    assert "gemini-3.1-flash-lite" not in known.candidates("fast", "free", JULY)


@pytest.mark.parametrize(
    ("model_id", "on", "price"),
    [
        ("gemini-4-argon", NOW, (2.0, 10.0)),
        ("gemini-4-argon", date(2026, 12, 1), (4.0, 20.0)),
        ("gemini-3.8-flash", DECEMBER, (0.75, 3.75)),
        ("gemini-3.8-flash", FEBRUARY, (1.5, 7.5)),
        ("gemini-4-hydrogen", JULY, (1.5, 7.5)),
    ],
)
def test_prices_follow_the_day(
    known: Catalogue, model_id: str, on: date, price: tuple[float, float]
) -> None:
    found = known.model(model_id).price(on)
    assert found is not None
    assert (found.input, found.output) == price


def test_a_service_tier_multiplies_every_price(known: Catalogue) -> None:
    pro = known.model("gemini-3.1-pro-preview")
    flex, usual = pro.price(NOW, "flex"), pro.price(NOW)
    assert flex is not None
    assert usual is not None
    assert (flex.input, flex.output, flex.cached) == (1.0, 6.0, 0.1)
    assert flex.above is not None
    assert (flex.above_tokens, flex.above.input) == (200_000, 2.0)
    assert pro.price(NOW, "of no such tier") is None


@pytest.mark.parametrize(
    ("model_id", "door", "on", "answers"),
    [
        ("gemini-3.7-flash", "free", NOW, "gemini-3.8-flash"),
        ("gemini-3.7-flash", "vertex", NOW, "gemini-3.7-flash"),
        ("gemini-3.5-flash", "paid", NOW, "gemini-3.6-flash"),
        ("gemini-3.5-flash", "code-assist", NOW, "gemini-3.5-flash"),
        ("gemini-2.5-pro", "paid", NOW, "gemini-2.5-pro"),
        ("gemini-2.5-pro", "paid", DECEMBER, "gemini-3.8-flash"),
        ("gemini-2.5-flash", "free", DECEMBER, "gemini-3.5-flash-lite"),
        ("gemini-2.5-flash-lite", "free", DECEMBER, "gemini-2.5-flash-lite"),
    ],
)
def test_what_answers_for_an_id_on_a_day(
    known: Catalogue, model_id: str, door: Door, on: date, answers: str
) -> None:
    assert known.answering(model_id, door, on).id == answers


def test_living_is_what_a_new_credential_is_served(known: Catalogue) -> None:
    free = known.living("free", NOW)
    released = [known.model(model_id).released or date.min for model_id in free]
    assert released == sorted(released, reverse=True)
    assert {"gemini-4-hydrogen", "gemini-3.8-flash", "gemini-3.5-flash-lite"} <= set(free)
    assert not {"gemini-4-neon", "gemini-3.1-pro-preview"} & set(free)
    dead = {"gemini-2.5-pro", "gemini-2.5-flash-lite", "gemini-3.7-flash", "gemini-3-pro-image"}
    assert not dead & set(free)
    assert "gemini-2.5-pro" in known.living("code-assist", NOW)


def test_the_day_at_google_begins_at_midnight_pacific_time() -> None:
    def at(*moment: int) -> date:
        return today(datetime(*moment, tzinfo=UTC).timestamp())  # type: ignore[misc,arg-type]

    assert at(2026, 12, 1, 7, 59) == date(2026, 11, 30)
    assert at(2026, 12, 1, 8, 0) == date(2026, 12, 1)
    assert at(2026, 7, 1, 6, 59) == date(2026, 6, 30)
    assert at(2026, 7, 1, 7, 0) == date(2026, 7, 1)
    assert at(2027, 3, 14, 7, 30) == date(2027, 3, 13)
    assert at(2026, 11, 2, 7, 30) == date(2026, 11, 1)


# ── tiers ──


def test_a_tier_takes_the_first_that_is_listed_and_not_refused(known: Catalogue) -> None:
    listed = ["gemini-2.5-pro", "gemini-3.6-flash", "gemini-3.8-flash", "gemini-3-pro-image"]
    assert known.choose("best", "free", NOW, listed) == "gemini-3.8-flash"
    assert known.choose("best", "free", NOW, listed, {"gemini-3.8-flash"}) == "gemini-3.6-flash"
    assert known.choose("best", "free", NOW, ["gemini-2.5-pro"]) is None
    assert known.candidates("fast", "free", NOW, listed) == (
        "gemini-3.6-flash",
        "gemini-3.8-flash",
    )
    assert known.candidates("fast", "free", NOW, ["gemini-4-hydrogen"]) == ()


@pytest.mark.parametrize("on", [NOW, DECEMBER, FEBRUARY, JULY])
@pytest.mark.parametrize("tier", TIERS)
def test_auto_is_never_dearer_than_the_free_list(known: Catalogue, tier: Tier, on: date) -> None:
    free = [known.model(m).price(on) for t in TIERS for m in known.preference(t, "free")]
    most = max(price.output for price in free if price is not None)
    for door in ("paid", "vertex"):
        for model_id in known.candidates(tier, door, on):
            price = known.model(model_id).price(on)
            assert price is not None
            assert price.output <= most


def test_code_assist_alone_may_take_a_preview(known: Catalogue) -> None:
    assert known.choose("best", "code-assist", NOW) == "gemini-3.1-pro-preview"
    for door in DOORS[:3]:
        for tier in TIERS:
            chosen = known.candidates(tier, door, NOW)
            assert not [model for model in chosen if known.model(model).preview]


def test_a_users_own_list_cannot_make_auto_dearer_or_take_a_picture_model(own: Path) -> None:
    own.write_text(
        "[preferences.paid]\n"
        'best = ["gemini-4-neon", "gemini-3-pro-image", "gemini-nameless", "gemini-3.6-flash"]\n'
        "[models.gemini-nameless]\n"
        'base = "4"\n'
        'doors = ["paid"]\n',
        "utf-8",
    )
    mine = Catalogue(read_table(own))
    assert mine.preference("best", "paid")[0] == "gemini-4-neon"
    assert mine.candidates("best", "paid", NOW) == ("gemini-3.6-flash",)


def test_a_users_own_list_cannot_take_a_free_key_to_a_paid_model(own: Path) -> None:
    own.write_text(
        '[preferences.free]\nbest = ["gemini-4-neon", "gemini-4-argon", "gemini-3.6-flash"]\n',
        "utf-8",
    )
    assert Catalogue(read_table(own)).candidates("best", "free", NOW) == ("gemini-3.6-flash",)


def test_the_catalogue_in_use_can_be_another(own: Path) -> None:
    assert "gemini-5-boron" not in catalogue().living("free", NOW)
    own.write_text('[models.gemini-5-boron]\nbase = "4"\ndoors = ["gemini-api"]\n', "utf-8")
    use(Catalogue(read_table(own)))
    assert "gemini-5-boron" in catalogue().living("free", NOW)


def test_quota_families_are_whole_words(known: Catalogue) -> None:
    assert known.quota_family("gemini-9.5-flash-lite") == "Flash-Lite"
    assert known.quota_family("gemini-3-flash") == "Flash"
    assert known.quota_family("gemini-provisional") is None
