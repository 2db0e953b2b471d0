"""schemathesis as the judge of ``/openapi.json``, and of the answers against it.

On the demo, and on a Google that is a fake: no 5xx, only statuses and content types that are
described, answers of the described shape, and bodies that break the described shape refused.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from tests.fuzz.server import Server, strict

EXAMPLES = {"demo": 1, "gemini-api": 3}
"""Cases of each operation; the demo takes its time, as a model would."""
OFFERED = (501,)
"""What an upstream does not offer is refused with a status above 499."""


@pytest.fixture(scope="module", params=["demo", "gemini-api"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with Server(upstream=request.param) as running:
        yield running


def described(server: Server) -> Any:
    """The document, as schemathesis reads it."""
    document = strict(server.ask("GET", "/openapi.json").body)
    return schemathesis.openapi.from_dict(document)


def sent(server: Server, case: Case[Any]) -> schemathesis.Response:
    """The answer to a case of schemathesis's."""
    prepared = requests.Request(**case.as_transport_kwargs(base_url="http://127.0.0.1")).prepare()
    parts = urlsplit(str(prepared.url))
    body = prepared.body.encode() if isinstance(prepared.body, str) else prepared.body or b""
    headers = [(name.lower(), str(value)) for name, value in prepared.headers.items()]
    answer = server.ask(
        str(prepared.method),
        unquote(parts.path),
        [body if isinstance(body, bytes) else b""],
        [(name, value) for name, value in headers if name != "content-length"],
        query=parts.query,
    )
    headers_of = {name: [value] for name, value in answer.headers.items()}
    return schemathesis.Response(
        answer.status, headers_of, answer.body, request=prepared, elapsed=0.1, verify=False
    )


def judged(server: Server, operation: Any, mode: GenerationMode) -> None:
    """Some cases of one operation."""
    checks = [status_code_conformance, content_type_conformance, response_schema_conformance]
    if mode is GenerationMode.NEGATIVE:
        checks.append(negative_data_rejection)

    @settings(
        max_examples=EXAMPLES[server.gateway.settings.upstream],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),
    )
    @given(operation.as_strategy(mode))
    def run(case: Case[Any]) -> None:
        answer = sent(server, case)
        assert answer.status_code < 500 or answer.status_code in OFFERED, (case, answer.text)
        case.validate_response(answer, checks=checks)

    run()


def operations(server: Server) -> Iterator[Any]:
    for found in described(server).get_all_operations():
        operation = found.ok()
        if operation.path != "/events":  # which never ends
            yield operation


def test_every_operation_answers_as_it_is_described(server: Server) -> None:
    for operation in operations(server):
        judged(server, operation, GenerationMode.POSITIVE)


@pytest.mark.parametrize("server", ["gemini-api"], indirect=True)
def test_what_breaks_a_described_body_is_refused(server: Server) -> None:
    for operation in operations(server):
        if operation.method == "post" and operation.path.startswith("/v1"):
            judged(server, operation, GenerationMode.NEGATIVE)
