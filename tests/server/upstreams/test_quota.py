"""What is left, by family: the emptiest bucket speaks for its family."""

from server.upstreams.code_assist import Quota
from server.upstreams.quota import FamilyQuota, by_family


def bucket(model: str, left: float | None, reset_at: float | None = None) -> Quota:
    return Quota(model=model, remaining_fraction=left, reset_at=reset_at)


def test_the_emptiest_bucket_of_a_family_is_told_in_the_order_of_the_menu() -> None:
    quota = (
        bucket("gemini-2.5-flash-lite", 1.0),
        bucket("gemini-2.5-flash", 0.5, 50.0),
        bucket("gemini-2.5-pro", 0.9, 30.0),
        bucket("gemini-3.1-pro-preview", 0.299, 40.0),
    )
    assert by_family(quota) == (
        FamilyQuota("Pro", 29, 40.0),
        FamilyQuota("Flash", 50, 50.0),
        FamilyQuota("Flash-Lite", 100, None),
    )


def test_of_equals_the_later_reset_is_told() -> None:
    quota = (bucket("gemini-2.5-pro", 0.0, 5.0), bucket("gemini-3-pro-preview", 0.0, 9.0))
    assert by_family(quota) == (FamilyQuota("Pro", 0, 9.0),)


def test_what_google_does_not_tell_is_not_shown() -> None:
    assert by_family(()) == ()
    assert by_family((bucket("gemini-2.5-pro", None), bucket("imagen-4", 0.5))) == ()


def test_a_fraction_out_of_range_is_brought_into_it() -> None:
    assert [f.percent for f in by_family((bucket("gemini-2.5-pro", 1.2),))] == [100]
    assert [f.percent for f in by_family((bucket("gemini-2.5-pro", -0.2),))] == [0]
    assert [f.percent for f in by_family((bucket("gemini-2.5-pro", 0.29),))] == [29]
