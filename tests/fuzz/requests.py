"""What clients send: bodies, heads, forms."""

from urllib.parse import quote, urlencode

from server.edge.body import parse_json
from server.errors import BadRequestError
from server.settings import load as settings_file
from server.settings.options import ALL_OPTIONS
from tests.fuzz import seeds
from tests.fuzz.mutate import ODD, broken, dump, encoded, mutated, pieces
from tests.fuzz.server import Server, check_answer, refused
from tests.fuzz.source import Source
from webui.settings import FIXED

FINE = (200, 204)
OURS = (501,)
"""What is not offered: the one status above 499 that a request alone can lead to."""


def client_body(server: Server, source: Source) -> None:
    """One body of one operation, nearly right."""
    dialect, path, seed = seeds.REQUESTS[source.below(len(seeds.REQUESTS))]
    value = mutated(seed, source)
    if isinstance(value, dict) and dialect != "gemini" and source.below(2):
        value["stream"] = True
    body = dump(value)
    headers = [("content-type", "application/json")]
    if source.below(4) == 0:
        coding, body = encoded(body, source)
        headers += [("content-encoding", coding)] if coding else []
    sse = "alt=sse" if source.below(2) else ""
    answer = server.ask("POST", path, pieces(body, source), headers, query=sse)
    assert answer.status < 500 or answer.status in OURS, (answer.status, answer.body[:500])
    if answer.kind == "application/json" and answer.body[:1] == b"[":
        assert path.endswith(":streamGenerateContent")
        return
    check_answer(dialect, answer)


HEADERS = (
    *("host", "origin", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest", "authorization"),
    *("x-api-key", "x-goog-api-key", "cookie", "forwarded", "x-forwarded-for", "via", "user-agent"),
    *("content-type", "content-length", "transfer-encoding", "content-encoding", "expect"),
    *("access-control-request-method", "access-control-request-headers", "anthropic-version"),
    *("access-control-request-private-network", "x-goog-api-client", "upgrade", "accept"),
)
VALUES = (
    *("127.0.0.1:8081", "localhost", "[::1]:8081", "evil.example", "http://localhost:3000", "null"),
    *(
        "http://[",
        "http://[::1",
        "http://[::1]:x",
        "http://a:99999999",
        "//",
        "https://",
        "[]",
        ":",
    ),
    *(
        "cross-site",
        "navigate",
        "document",
        "Bearer",
        "Bearer correct-horse-battery",
        "Basic =",
        "",
    ),
    *(
        "gemini_proxy_session_8081=",
        "gemini_proxy_session_8081=é; a",
        "for=127.0.0.1",
        "1.1 gemini-api-proxy",
        "²",
    ),
    *("application/json", "text/plain; charset", "chunked", "-1", "100-continue", "GET", "true"),
    *("1::%25lo", "127.0.0.1.", "a" * 500, "ＬＯＣＡＬＨＯＳＴ", "\x7f", "\t"),
)
PATHS = (
    *("/", "/v1/models", "/v1/models/", "/v1/models/%2F", "/models", "/v1/v1/models", "/usage"),
    *("/v1beta/models/gemini-2.5-pro", "/v1beta/models/a:b:c", "/v1/chat/completions", "/health"),
    *("/setup", "/auth", "/oauth2callback", "/static/style.css", "/static/../main.py", "/metrics"),
    *("/v1/responses/resp_1", "/v1/responses/resp_1/input_items", "/openapi.json", "/connect"),
    *("*", "http://127.0.0.1:8081/v1/models", "http://[/v1", "//evil.example/", "/\ud83d", "/help"),
)
METHODS = ("GET", "POST", "DELETE", "OPTIONS", "HEAD", "PUT", "PATCH", "x")
QUERIES = ("", "code=a&state=b", "state=%ff", "days=x", "alt=sse", "pageSize=-1", "limit=²&after=x")


def head(server: Server, source: Source) -> None:
    """A method, a target and headers; the answer is one of ours, and below 500."""
    path = PATHS[source.below(len(PATHS))]
    if source.below(4) == 0:
        path += source.text(6)
    headers = [("host", "127.0.0.1:8081")] if source.below(2) else []
    for _ in range(source.below(4)):
        value = source.text(10) if source.below(4) == 0 else VALUES[source.below(len(VALUES))]
        # What no HTTP parser lets through is not our case.
        plain = "".join(c for c in value if c.isprintable() or c == "\t").strip()
        headers.append((HEADERS[source.below(len(HEADERS))], plain))
    query = source.text(8) if source.below(4) == 0 else QUERIES[source.below(len(QUERIES))]
    method = METHODS[source.below(len(METHODS))]
    answer = server.ask(method, path, (), headers, query=query)
    assert answer.status < 500 or answer.status in (*OURS, 508), (answer.status, answer.body[:500])
    if server.gateway.settings.api_keys:
        assert "correct-horse-battery" not in answer.body.decode("utf-8", "replace")
    if path.startswith("/v1/") and method not in ("HEAD", "OPTIONS"):
        assert answer.kind in ("application/json", "text/event-stream"), (method, path, answer)


def form(server: Server, source: Source) -> None:
    """A form of the settings page; what it saves can be read at the next start."""
    names = [name for name in ALL_OPTIONS if name not in FIXED and name not in ("PORT", "UPSTREAM")]
    page = server.ask("GET", "/settings")
    token = page.body.partition(b'name="token" value="')[2].partition(b'"')[0].decode()
    assert token
    fields = {"token": token}
    for _ in range(1 + source.below(2)):
        odd = ODD[source.below(len(ODD))]
        value = str(odd) if source.below(2) else source.text(12)
        fields[names[source.below(len(names))]] = value
    body = urlencode(fields, quote_via=quote, errors="surrogatepass").encode()
    sent = [("content-type", "application/x-www-form-urlencoded"), ("accept", "text/html")]
    answer = server.ask("POST", "/settings", [broken(body, source)], sent)
    assert answer.status in (303, 400, 403), (fields, answer.status)
    if answer.status == 303:
        loaded = settings_file.load({"DATA_DIR": str(server.folder)}, {})
        assert loaded.settings.data_dir == server.folder
        (server.folder / "settings.toml").unlink(missing_ok=True)
    if "text/html" not in answer.headers.get("content-type", "text/html"):
        raise AssertionError(answer)


def raw_json(source: Source) -> None:
    """Bytes that should be a JSON object."""
    seed = seeds.REQUESTS[source.below(len(seeds.REQUESTS))][2]
    data = broken(dump(mutated(seed, source)), source)
    refused(lambda: parse_json(data), BadRequestError)
