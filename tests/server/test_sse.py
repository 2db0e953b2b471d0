"""Server-sent events, cut anywhere."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.sse import SSEReader, comment, frame

ERROR = b'{\n  "error": {\n    "code": 503,\n    "message": "overloaded"\n  }\n}'

STREAMS: dict[str, tuple[bytes, list[bytes]]] = {
    "nothing": (b"", []),
    "one event": (b"data: {}\n\n", [b"{}"]),
    "no space after the colon": (b"data:{}\n\n", [b"{}"]),
    "only one space is taken off": (b"data:  {}\n\n", [b" {}"]),
    "two events": (b"data: 1\n\ndata: 2\n\n", [b"1", b"2"]),
    "CRLF": (b"data: 1\r\n\r\ndata: 2\r\n\r\n", [b"1", b"2"]),
    "CR alone": (b"data: 1\r\rdata: 2\r\r", [b"1", b"2"]),
    "mixed line ends": (b"data: 1\r\n\ndata: 2\n\r\ndata: 3\r\r\n", [b"1", b"2", b"3"]),
    "extra blank lines": (b"\n\n\ndata: 1\n\n\n\n\ndata: 2\n\n", [b"1", b"2"]),
    "several data lines": (b"data: [1,\r\ndata: 2]\r\n\r\n", [b"[1,\n2]"]),
    "comments and other fields": (
        b": ping\n\nevent: message\nid: 7\nretry: 10\n: hi\ndata: 1\n\nid: 8\n\n",
        [b"1"],
    ),
    "the last event without its blank line": (b"data: 1\n\ndata: 2", [b"1", b"2"]),
    "the last event with half of it": (b"data: 1\n\ndata: 2\r\n", [b"1", b"2"]),
    "umlauts": ("data: größe ✓\n\n".encode(), ["größe ✓".encode()]),
    "raw JSON in mid-stream": (b"data: 1\n\n" + ERROR + b"\n\n", [b"1", ERROR]),
    "raw JSON at the end": (b"data: 1\n\n" + ERROR, [b"1", ERROR]),
    "a raw JSON array alone": (b'[{"error": {"code": 400}}]\n', [b'[{"error": {"code": 400}}]']),
    "a web page is no event": (b"<html>\n\n<body>\n</html>", []),
    "data is also part of other words": (b"database: 1\n\n", []),
}


def read(pieces: list[bytes]) -> list[bytes]:
    reader = SSEReader()
    return [event for piece in pieces for event in reader.feed(piece)] + reader.close()


@pytest.mark.parametrize("case", STREAMS, ids=lambda case: case.replace(" ", "-"))
def test_streams_whole_and_byte_by_byte(case: str) -> None:
    data, events = STREAMS[case]
    assert read([data]) == events
    assert read([bytes([byte]) for byte in data]) == events


@given(
    st.lists(st.sampled_from([data for data, _ in STREAMS.values()]), max_size=4).map(b"".join),
    st.lists(st.integers(0, 300), max_size=8),
)
def test_any_split_of_the_bytes_gives_the_same_events(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    assert read([data[a:b] for a, b in pairwise(edges)]) == read([data])


@given(st.text("ad: \r\n{", max_size=40).map(str.encode), st.integers(0, 40))
def test_any_line_ends_may_be_cut(data: bytes, cut: int) -> None:
    assert read([data[:cut], data[cut:]]) == read([data])


def test_an_event_is_handed_out_as_soon_as_it_is_complete() -> None:
    reader = SSEReader()
    assert reader.feed(b"data: 1\n") == []
    assert reader.feed(b"\ndata: 2\n\ndat") == [b"1", b"2"]
    assert reader.feed(b"a: 3\n\n") == [b"3"]
    assert reader.close() == []


def test_a_reader_is_empty_after_its_end() -> None:
    reader = SSEReader()
    reader.feed(b"data: 1")
    assert reader.close() == [b"1"]
    assert reader.close() == []


@pytest.mark.parametrize(
    ("written", "events"),
    [
        (frame(b"{}"), [b"{}"]),
        (frame(b"{}", "message_start"), [b"{}"]),
        (comment("keep-alive"), []),
    ],
)
def test_what_we_write_we_can_read(written: bytes, events: list[bytes]) -> None:
    assert read([written]) == events


def test_frames_are_exact() -> None:
    assert frame(b"1") == b"data: 1\n\n"
    assert frame(b"1", "ping") == b"event: ping\ndata: 1\n\n"
    assert comment("hi") == b": hi\n\n"
