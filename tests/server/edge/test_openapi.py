"""The description of our HTTP surface: complete, and true."""

import json
import re
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.dialects import DIALECTS
from server.dialects.base import CountTokens, Embed, Generate
from server.edge.openapi import describe
from server.edge.schemas import ANSWERS, REQUESTS, for_path
from tests.faults import raw, status_of
from tests.rig import running
from webui.pages import create_pages


async def test_every_route_and_page_is_described(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        answer = await rig.http.get("/openapi.json")
        document = answer.json()
        described = {
            (method.upper(), path) for path, item in document["paths"].items() for method in item
        }
        routes = {(route.method, route.path) for d in DIALECTS for route in d.routes}
        pages = {
            (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
            for rule in create_pages(rig.gateway).url_map.iter_rules()
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        }
        own = {
            ("GET", f"/{name}") for name in ("openapi.json", "health", "usage", "metrics", "events")
        }
        assert described == routes | pages | own


async def test_what_is_described_is_answered(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        document = (await rig.http.get("/openapi.json")).json()
        for path, item in document["paths"].items():
            if path == "/events":
                continue
            for method, operation in item.items():
                target = path.replace("{id}", "gemini-2.5-pro").replace("{filename}", "style.css")
                answer = await rig.http.request(method.upper(), target, json={})
                assert answer.status_code != 405, (method, path)
                assert answer.status_code < 500
                assert operation["summary"]


def test_every_operation_has_its_own_schemas() -> None:
    """And no schema is left over: the tables follow the routes."""
    routes = [route for dialect in DIALECTS for route in dialect.routes]
    reading = [r for r in routes if isinstance(r.operation, Generate | CountTokens | Embed)]
    assert [route.path for route in reading if for_path(REQUESTS, route.path) is None] == []
    assert [route.path for route in routes if for_path(ANSWERS, route.path) is None] == []
    for table, known in ((REQUESTS, reading), (ANSWERS, routes)):
        ends = {end for end in table if any(route.path.endswith(end) for route in known)}
        assert ends == set(table)


def test_every_error_is_described_in_the_shape_of_its_dialect() -> None:
    paths = describe(DIALECTS, [])["paths"]
    shared = paths["/v1/models"]["get"]["responses"]["401"]["content"]["application/json"]
    assert [shape["$ref"].rpartition("/")[2] for shape in shared["schema"]["anyOf"]] == [
        "gemini-error",
        "anthropic-error",
        "openai-error",
    ]
    assert {"400", "401", "403", "413", "415", "421", "429", "501", "502", "504", "529"} <= set(
        paths["/v1/messages"]["post"]["responses"]
    )


def test_the_document_is_plain_json_with_a_place_for_every_placeholder() -> None:
    document = json.loads(json.dumps(describe(DIALECTS, [("GET", "/x/{a}/{b}")])))
    for path, item in document["paths"].items():
        for operation in item.values():
            named = [parameter["name"] for parameter in operation.get("parameters", [])]
            assert named == re.findall(r"\{(\w+)\}", path)


TOKEN = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)
LINE = st.one_of(TOKEN, st.sampled_from(["Host: 127.0.0.1", "Transfer-Encoding: chunked", ": x"]))


async def test_no_bytes_make_the_server_fail(tmp_path: Path) -> None:
    """Any method, target, header lines and body: an answer below 500, or a closed connection."""
    document: dict[str, Any] = describe(DIALECTS, [("GET", "/usage")])
    targets = st.sampled_from([*document["paths"], "*", "http://127.0.0.1/v1/models"])
    cases: list[bytes] = []

    @settings(max_examples=60, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(["GET", "POST", "DELETE", "PUT", "x"]), targets, TOKEN, st.data())
    def collect(method: str, target: str, tail: str, data: st.DataObject) -> None:
        lines = data.draw(st.lists(LINE, max_size=3))
        body = data.draw(st.binary(max_size=40))
        head = "\r\n".join(
            [
                f"{method} {target}{tail if data.draw(st.booleans()) else ''} HTTP/1.1",
                *("Host: 127.0.0.1", "Content-Type: application/json", "Connection: close"),
                *(f"X-{line}" if data.draw(st.booleans()) else line for line in lines),
                f"Content-Length: {len(body)}",
            ]
        )
        cases.append(head.encode("latin-1") + b"\r\n\r\n" + body)

    collect()
    async with running(tmp_path) as rig:
        for case in cases:
            if b" /events" in case:
                continue
            answer = await raw(rig, case, within_s=2)
            assert status_of(answer) < 500 or status_of(answer) == 501, (case, answer[:300])
        assert (await rig.http.get("/health")).status_code == 200
