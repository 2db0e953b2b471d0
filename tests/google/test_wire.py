"""Any framing says the same."""

import gzip
from collections.abc import Sequence

import pytest

from tests.google.http import ConnectionCutError
from tests.google.wire import Cut, Framing, Item, Pause, encode, encode_array, event
from tests.support import events_of


async def nap(_: float) -> None:
    return None


async def sent(items: Sequence[Item], framing: Framing) -> list[bytes]:
    return [piece async for piece in encode(items, framing, delay_s=0, sleep=nap)]


EVENTS: list[Item] = [{"text": "Grüße 🎈"}, {"text": "zwei"}]


@pytest.mark.parametrize(
    "framing",
    [
        Framing(),
        Framing(newline="\r\n"),
        Framing(comments=True),
        Framing(multiline=True),
        Framing(split_bytes=1),
        Framing(newline="\r\n", split_bytes=3, multiline=True, comments=True),
    ],
)
async def test_every_framing_says_the_same(framing: Framing) -> None:
    assert events_of(b"".join(await sent(EVENTS, framing))) == EVENTS


async def test_splitting_cuts_characters_in_half() -> None:
    pieces = await sent(EVENTS, Framing(split_bytes=1))
    assert all(len(piece) == 1 for piece in pieces)
    assert any(piece[0] >= 0x80 for piece in pieces)


async def test_gzip_flushes_every_event() -> None:
    pieces = await sent(EVENTS, Framing(gzip=True))
    assert len(pieces) == 3
    assert events_of(gzip.decompress(b"".join(pieces))) == EVENTS


async def test_pauses_and_delays_go_through_sleep() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    items: list[Item] = [{"a": 1}, Pause(60), {"b": 2}]
    assert len([p async for p in encode(items, Framing(), delay_s=0.5, sleep=sleep)]) == 2
    assert slept == [60, 0.5]


async def test_a_cut_ends_in_the_middle() -> None:
    with pytest.raises(ConnectionCutError):
        await sent([{"a": 1}, Cut()], Framing())


async def test_an_array_is_json_when_it_is_complete() -> None:
    body = b"".join([p async for p in encode_array(EVENTS, delay_s=0, sleep=nap)])
    assert body.startswith(b"[{")
    assert body.endswith(b"]")


def test_an_event_is_one_line() -> None:
    assert event({"a": "x\ny"}) == b'data: {"a": "x\\ny"}\n\n'
