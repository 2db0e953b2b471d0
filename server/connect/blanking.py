"""What is shown of a user's files, without their secrets; what is written keeps them.

A secret is known by its name (``OPENAI_API_KEY``, ``authToken``, what stands below ``headers``) in
whatever form the file gives it, comments included, or by its own look. Rather too much is blanked
out than too little; names of variables, and the word that stands for no key, are shown.
"""

import json
import re
from collections.abc import Iterator

from server.connect.edits import Data
from server.redaction import blank_shapes

HIDDEN = "<hidden>"

_PLAIN = {"", "any", "none", "null", "true", "false", "yes", "no", "manual", "auto"}
_REFERENCE = re.compile(
    r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|\$\{?\w+\}?|\{(?:env|file):[^}]*\}|\$\{\{.*\}\}|%\w+%|<.*>"
)
"""The name of a variable, or a place in the file where one is put in."""
_SECRET = re.compile(
    r"(?:key|keys|token|secret|secrets|password|passwd|passphrase|pwd|pass|pat|credential|"
    r"credentials|authorization|bearer|cookie|cookies|dsn|auth|jwt|session)\Z"
    r"|(?:key|token|secret|password)\Z"
)
_HARMLESS = {
    *("env", "variable", "name", "names", "source", "helper", "type", "file", "path", "dir"),
    *("url", "uri", "endpoint", "limit", "count", "window", "budget", "method", "mode", "enabled"),
    *("timeout", "ttl", "refresh", "store", "storage", "export", "map", "binding", "bindings"),
}
"""Last words of a name that make it speak about a secret instead of holding it."""
_SHAPES = re.compile(
    r"(?<![\w-])(?:gh[pousr]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{12,}|xox[a-z]-[\w-]{10,}"
    r"|AKIA[0-9A-Z]{12,}|ASIA[0-9A-Z]{12,}|hf_\w{16,}|npm_\w{16,}|gsk_\w{16,}|xai-\w{16,}"
    r"|(?:pk|rk|sk|key|tok)[-_][\w-]{16,}|eyJ[\w-]{8,}(?:\.[\w-]+){1,2}"
    r"|[0-9a-fA-F]{32,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|(?=[\w+=-]*[a-z])(?=[\w+=-]*[A-Z])(?=[\w+=-]*\d)[\w+=-]{24,})(?![\w-])"
)
_LOGIN = re.compile(r"(?<=://)[^/\s:@\"']*:[^/\s@\"']+(?=@)")
_BEARER = re.compile(r"(?i)\b(bearer|basic)(\s+)[\w./+~=-]{6,}")
_PAIR = re.compile(
    r"""(?P<name>[A-Za-z][\w.-]*)["'`]?(?:[ \t]*[:=][ \t]*|[ \t]+(?=["']))"""
    r"""(?P<value>"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|`[^`\n]*`|[^\s,#;}\]]+)"""
)
_OPTION = re.compile(r"""(--?[\w-]+)(["',]*[\s,=]+["']*)([^\s"',]+)""")


def blanked(text: str, *said: Data) -> str:
    """``text`` without secrets; ``said`` is what the files in it say, where they can be read."""
    for value in sorted({v for data in said for v in _held(data, ())}, key=len, reverse=True):
        for line in value.splitlines():
            for spelling in {line.strip(), json.dumps(line.strip())[1:-1]} - {""}:
                text = re.sub(rf"(?<!\w){re.escape(spelling)}(?!\w)", HIDDEN, text)
    text = _PAIR.sub(_without_value, text)
    text = _OPTION.sub(_without_argument, text)
    text = _BEARER.sub(rf"\1\2{HIDDEN}", _LOGIN.sub(HIDDEN, text))
    return _SHAPES.sub(HIDDEN, blank_shapes(text))


def names_a_secret(name: str) -> bool:
    """Whether what stands under this name is nobody's to see."""
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
    return bool(words) and words[-1] not in _HARMLESS and any(map(_SECRET.search, words))


def _held(data: Data, path: tuple[str, ...]) -> Iterator[str]:
    """The values of a file that are secrets by their names."""
    if isinstance(data, dict):
        for name, value in data.items():
            yield from _held(value, (*path, str(name)))
    elif isinstance(data, list):
        for before, value in zip([None, *data], data, strict=False):
            named = isinstance(before, str) and before.startswith("-")
            yield from _held(value, (*path, str(before).lstrip("-")) if named else path)
    elif path and not isinstance(data, bool) and data is not None and _is_secret(path, str(data)):
        yield str(data)


def _is_secret(path: tuple[str, ...], value: str) -> bool:
    below_headers = any("header" in name.lower() for name in path[:-1])
    return (below_headers or names_a_secret(path[-1])) and not _shown(value)


def _shown(value: str) -> bool:
    return value.lower() in _PLAIN or bool(_REFERENCE.fullmatch(value)) or HIDDEN in value


def _without_value(found: re.Match[str]) -> str:
    value = found["value"]
    quote = value[0] if value[0] in "\"'`" and value[-1] == value[0] and len(value) > 1 else ""
    inner = value[1:-1] if quote else value
    if not names_a_secret(found["name"]) or _shown(inner) or inner[:1] in "{[|>&*(":
        return found[0]
    return found[0][: found.start("value") - found.start()] + quote + HIDDEN + quote


def _without_argument(found: re.Match[str]) -> str:
    if not names_a_secret(found[1]) or _shown(found[3]):
        return found[0]
    return found[1] + found[2] + HIDDEN
