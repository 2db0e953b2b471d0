"""Counting, and the implicit cache."""

from server.demo.errors import Json
from server.demo.tokens import IMAGE_TOKENS, PrefixCache, count_request
from tests.support import call, result, user, weather_tool


def inline(mime_type: str, data: str = "aGVsbG8=") -> Json:
    return {"inlineData": {"mimeType": mime_type, "data": data}}


def test_four_characters_are_a_token_begun_ones_count() -> None:
    assert count_request({"contents": [user("12345")]}).total == 2


def test_media_are_counted_by_modality() -> None:
    parts = [inline("image/png"), inline("application/pdf"), inline("audio/wav")]
    counted = count_request({"contents": [user(*parts, "text")]})
    assert counted.by_modality == {
        "IMAGE": IMAGE_TOKENS,
        "DOCUMENT": IMAGE_TOKENS,
        "AUDIO": 32,
        "TEXT": 1,
    }
    assert {"modality": "IMAGE", "tokenCount": IMAGE_TOKENS} in counted.details()


def test_tools_calls_and_results_count_signatures_do_not() -> None:
    bare = count_request({"contents": [user("a")]}).total
    assert count_request({"contents": [user("a")], "tools": [weather_tool()]}).total > bare
    one = count_request({"contents": [user(call("f", {"a": 1}))]}).total
    two = count_request({"contents": [user(call("f", {"a": 1}, thoughtSignature="x" * 99))]}).total
    assert one == two > 0
    answer = result("f", {"output": "x"})
    answer["functionResponse"]["parts"] = [inline("image/png")]
    assert count_request({"contents": [user(answer)]}).by_modality["IMAGE"] == IMAGE_TOKENS


def test_a_prefix_is_cached_when_long_and_seen_before() -> None:
    cache = PrefixCache()
    long = user("x" * 4 * 2048)
    short: Json = {"contents": [user("short")]}
    first: Json = {"contents": [long, {"role": "model", "parts": [{"text": "ok"}]}, user("a")]}
    second: Json = {"contents": [*first["contents"][:2], user("b")]}
    assert cache.cached_tokens(first, "m", 2048) == 0
    assert cache.cached_tokens(second, "m", 2048) == 2048 + 1
    assert cache.cached_tokens(second, "m", 4096) == 0
    assert cache.cached_tokens(second, "other", 2048) == 0
    assert cache.cached_tokens(short, "m", 1) == 0
    assert cache.cached_tokens(short, "m", 2048) == 0
