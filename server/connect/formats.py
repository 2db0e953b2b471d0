"""The kinds of configuration file, and the one way into all of them.

Whatever an editor did, the result is read again and must say what the edits mean and nothing else;
otherwise the file is refused and stays as it is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from server.connect import dotenv, jsonc, toml_text
from server.connect.edits import Addition, CannotEditError, Data, Drop, Edit, Way, applied, due


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of file. ``parse`` gives None for an empty one; all raise ``CannotEditError``."""

    name: str
    parse: Callable[[str], Data]
    edit: Callable[[str, Addition], str]
    drop: Callable[[str, Way], str]
    """The text without what is at a path."""


def _parse_yaml(text: str) -> Data:
    from server.connect import yaml_text  # noqa: PLC0415  # 2 MB that a server need not pay

    return yaml_text.parse(text)


def _edit_yaml(text: str, change: Addition) -> str:
    from server.connect import yaml_text  # noqa: PLC0415  # as above

    return yaml_text.edit(text, change)


def _drop_yaml(text: str, path: Way) -> str:
    from server.connect import yaml_text  # noqa: PLC0415  # as above

    return yaml_text.drop(text, path)


JSON = Format("JSON", jsonc.parse, jsonc.edit, jsonc.drop)
TOML = Format("TOML", toml_text.parse, toml_text.edit, toml_text.drop)
YAML_FILE = Format("YAML", _parse_yaml, _edit_yaml, _drop_yaml)
DOTENV = Format(".env", dotenv.parse, dotenv.edit, dotenv.drop)


def rewritten(form: Format, text: str, edits: Sequence[Edit]) -> str:
    """The text after the edits; the very same text when they change nothing.

    Lines end in line feeds here. Raises ``CannotEditError``.
    """
    data = form.parse(text)
    for edit in edits:
        if due(data, edit):
            text = form.drop(text, edit.path) if isinstance(edit, Drop) else form.edit(text, edit)
        data = applied(data, [edit])
    if (form.parse(text) or None) != (data or None):
        raise CannotEditError("It is written in a way that cannot be changed without risk.")
    return text
