"""Who answered, told from ``modelVersion`` and ``modelStatus``."""

from typing import Any

import pytest

from server.gemini.served import ModelStatus, read_status, served_id


@pytest.mark.parametrize(
    ("version", "asked", "served"),
    [
        ("gemini-3.8-flash", "gemini-3.7-flash", "gemini-3.8-flash"),
        ("models/gemini-3.8-flash", "gemini-3.7-flash", "gemini-3.8-flash"),
        ("gemini-3.8-flash@001", "gemini-3.7-flash", "gemini-3.8-flash"),
        ("publishers/google/models/gemini-3.8-flash@default", "x", "gemini-3.8-flash"),
        ("gemini-3.8-flash", "gemini-flash-latest", "gemini-3.8-flash"),
        ("gemini-3.5-flash-lite", "gemini-3.5-flash", "gemini-3.5-flash-lite"),
        ("gemini-3.5-flash", "gemini-3.5-flash-lite", "gemini-3.5-flash"),
        ("gemini-3.8-flash", "gemini-3.8-flash", "gemini-3.8-flash"),
        ("gemini-3-flash", "gemini-3.5-flash", "gemini-3.5-flash"),
        ("gemini-3.8-flash-001", "gemini-3.8-flash", "gemini-3.8-flash"),
        ("gemini-3.8-flash-preview-09-2026", "gemini-3.8-flash", "gemini-3.8-flash"),
        ("gemini-3.8-flash", "gemini-3.8-flash-001", "gemini-3.8-flash-001"),
        ("gemini-3.8-flash@001", "gemini-3.8-flash", "gemini-3.8-flash"),
        ("", "gemini-3.8-flash", "gemini-3.8-flash"),
        ("@", "gemini-3.8-flash", "gemini-3.8-flash"),
    ],
)
def test_the_answering_model(version: str, asked: str, served: str) -> None:
    assert served_id(version, asked) == served


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (None, None),
        ({}, None),
        ("RETIRED", None),
        ({"modelStage": 3}, None),
        ({"modelStage": "STABLE"}, ModelStatus(stage="STABLE")),
        (
            {"modelStage": "LEGACY", "retirementTime": "2026-12-01T00:00:00Z", "message": "Go."},
            ModelStatus(stage="LEGACY", retirement="2026-12-01T00:00:00Z", message="Go."),
        ),
    ],
)
def test_the_status_of_a_model(value: Any, status: ModelStatus | None) -> None:
    assert read_status(value) == status
