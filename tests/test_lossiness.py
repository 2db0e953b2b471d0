"""The lossiness tables are true: every row is sent, and the page is made from them."""

from pathlib import Path
from typing import Any

import pytest

from server.dialects import DIALECTS, lossiness
from server.dialects.base import Dialect, Embed, Generate, Params
from server.dialects.losses import Loss

MAIN = {
    "openai-chat": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
    "anthropic": "/v1/messages",
}
MESSAGES = {"messages": [{"role": "user", "content": "x"}]}
SMALLEST: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": MESSAGES,
    "/v1/responses": {"input": "x"},
    "/v1/messages": {**MESSAGES, "max_tokens": 2000},
    "/v1/completions": {"prompt": "x"},
    "/v1/embeddings": {"input": "x"},
}
ROWS = [(dialect, loss) for dialect in DIALECTS for loss in dialect.losses]


def dropped(dialect: Dialect, loss: Loss) -> tuple[str, ...]:
    """What the parser names as lost when the row's example is sent."""
    path = loss.path or MAIN[dialect.name]
    operation = next(route.operation for route in dialect.routes if route.path == path)
    assert isinstance(operation, Generate | Embed)
    body = {"model": "gemini-2.5-pro", **SMALLEST[path], **loss.example}
    return operation.parse(body, Params()).dropped


@pytest.mark.parametrize(
    ("dialect", "loss"), ROWS, ids=[f"{d.name}-{r.fate}-{r.field}" for d, r in ROWS]
)
def test_a_row_is_true(dialect: Dialect, loss: Loss) -> None:
    names = dropped(dialect, loss)
    if loss.fate == "dropped":
        assert loss.field in names
    else:
        assert names == ()


def test_every_dialect_but_googles_own_has_a_table() -> None:
    assert {dialect.name for dialect in DIALECTS if not dialect.losses} == {"gemini"}


def test_the_page_is_what_the_tables_say() -> None:
    """``make docs`` writes it."""
    page = Path(__file__).parents[1] / "docs" / "lossiness.md"
    assert page.read_text("utf-8") == lossiness.render()
