"""Our settings taken out of a file that was changed since, place by place."""

import re
from collections import Counter
from collections.abc import Iterator

from server.connect.edits import CannotEditError, Data, Put, Way
from server.connect.formats import JSON, Format

_COMMENTS = {
    True: re.compile(r'"(?:[^"\\\n]|\\.)*"|(//[^\n]*|/\*[\s\S]*?\*/)'),
    False: re.compile(r""""(?:[^"\\\n]|\\.)*"|'[^'\n]*'|(?:(?<=\s)|^)(\#[^\n]*)""", re.MULTILINE),
}


def removed(form: Format, now: str, wanted: Data, *, before: str, after: str) -> str:
    """The text that says ``wanted``, changed only where it says something else.

    Raises ``CannotEditError`` where that is not possible, or where a comment would be lost.
    """
    text = now
    for step in _steps(form.parse(now), wanted, ()):
        text = form.edit(text, step) if isinstance(step, Put) else form.drop(text, step)
    if (form.parse(text) or None) != (wanted or None):
        raise CannotEditError("It cannot be taken out without risk.")
    comments = _comments(form, now) + (_comments(form, before) - _comments(form, after))
    if comments - _comments(form, text):
        raise CannotEditError("A comment would be lost.")
    return text


def _steps(now: Data, wanted: Data, at: Way) -> Iterator[Put | Way]:
    """What leads from one to the other: what to drop, what to set."""
    if now == wanted:
        return
    if isinstance(now, dict) and isinstance(wanted, dict):
        yield from ((*at, name) for name in now if name not in wanted)
        for name, value in wanted.items():
            if name in now:
                yield from _steps(now[name], value, (*at, name))
            else:
                yield _set(at, name, value)
    elif isinstance(now, list) and isinstance(wanted, list) and len(now) == len(wanted) + 1:
        yield (*at, next((n for n, one in enumerate(wanted) if one != now[n]), len(wanted)))
    elif at:
        yield _set(at[:-1], at[-1], wanted)
    elif wanted:
        raise CannotEditError("It says something else altogether.")
    else:
        yield from ((name,) for name in now)


def _set(at: Way, name: str | int, value: Data) -> Put:
    path = (*at, name)
    if not all(isinstance(step, str) for step in path):
        raise CannotEditError("An entry of a list stood there before.")
    return Put(tuple(map(str, path)), value)


def _comments(form: Format, text: str) -> Counter[str]:
    found = _COMMENTS[form is JSON].finditer(text)
    return Counter(match[1].strip() for match in found if match[1])
