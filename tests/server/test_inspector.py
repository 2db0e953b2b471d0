"""The inspector keeps nothing while off, and little while on."""

from server.inspector import KEPT, LONGEST_BYTES, Inspector


def test_off_it_watches_nothing() -> None:
    inspector = Inspector()
    assert inspector.watch("1", 0.0, {}) is None
    assert inspector.traces() == ()


def test_the_newest_come_first_and_the_oldest_go() -> None:
    inspector = Inspector()
    inspector.switch(on=True)
    for number in range(KEPT + 3):
        inspector.watch(str(number), 0.0, {})
    traces = inspector.traces()
    assert len(traces) == KEPT
    assert traces[0].id == str(KEPT + 2)
    inspector.switch(on=False)
    assert inspector.traces() == ()


def test_a_trace_is_cut_at_its_bound_and_says_so() -> None:
    inspector = Inspector()
    inspector.switch(on=True)
    trace = inspector.watch("1", 0.0, {"text": "x" * LONGEST_BYTES})
    assert trace is not None
    assert trace.cut
    trace.note("stream", "more")
    assert trace.stream == []
    assert sum(map(len, trace.client)) <= LONGEST_BYTES


def test_what_looks_like_a_credential_is_blanked_out() -> None:
    inspector = Inspector()
    inspector.switch(on=True)
    trace = inspector.watch("1", 0.0, {"text": "my key is AIzaFakeFakeFakeFakeFake"})
    assert trace is not None
    assert "FakeFake" not in trace.client[0]
