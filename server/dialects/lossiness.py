"""Writes ``docs/lossiness.md`` from the dialects' tables (``make docs``)."""

import sys
from collections.abc import Iterator

from server.dialects import DIALECTS
from server.dialects.base import Dialect
from server.dialects.losses import Fate

_INTRODUCTION = """\
# What gets lost

Made from the dialects' own tables by `make docs`; a test sends every row. Fields that this program
does not know are treated like *dropped* ones: the request is answered, and the response header
`x-proxy-dropped` names them. What depends on the model (thinking levels and budgets, sampling on
models that ignore it, Google's built-in tools beside function tools) is settled when the model is
known; fields lost there are named in the same header. A name is a path, indices are `[]`; `*.name`
stands for that field at any depth. The header holds whole names up to 1,000 characters, then `+N`;
the request's row in `/usage` and its page in the request inspector hold them all.
"""
_HEADINGS: dict[Fate, str] = {
    "dropped": "Dropped, and named in `x-proxy-dropped`",
    "changed": "Honoured in another way",
    "ignored": "Ignored: it steers the vendor's own service, the answer loses nothing",
}


def render() -> str:
    """The whole page."""
    return "\n".join([_INTRODUCTION, *(line for d in DIALECTS for line in _section(d))])


def _section(dialect: Dialect) -> Iterator[str]:
    yield f"## {dialect.name}\n"
    if not dialect.losses:
        yield "Nothing: requests and answers pass untouched, unknown fields included.\n"
    for fate, heading in _HEADINGS.items():
        rows = [loss for loss in dialect.losses if loss.fate == fate]
        if rows:
            yield f"{heading}:\n\n| field | what happens |\n| --- | --- |"
            for loss in rows:
                where = f" (`{loss.path}`)" if loss.path else ""
                yield f"| `{loss.field}`{where} | {loss.why} |"
            yield ""


if __name__ == "__main__":
    sys.stdout.write(render())
