"""Estimated tokens."""

import base64

import pytest

from server.gemini.estimate import estimate_tokens
from server.gemini.types import Content, GenerateRequest, Json


def user(*parts: Json) -> Content:
    return {"role": "user", "parts": list(parts)}


def pdf(pages: int) -> Json:
    kids = b"<< /Type /Page /Parent 1 0 R >>\n" * pages
    data = base64.b64encode(b"%PDF-1.7\n<< /Type /Pages >>\n" + kids).decode()
    return {"inlineData": {"mimeType": "application/pdf", "data": data}}


IMAGE: Json = {"inlineData": {"mimeType": "image/png", "data": "A" * 40_000}}


@pytest.mark.parametrize(
    ("request_", "tokens"),
    [
        ({}, 0),
        ({"contents": []}, 0),
        ({"contents": [user({"text": "x" * 40})]}, 10 + 4),
        ({"contents": [user({"text": "ä" * 40})]}, 20 + 4),
        ({"contents": [user({"text": "\ud800"})]}, 1 + 4),
        ({"contents": [user({"text": "x" * 40}), user({"text": "x"})]}, 11 + 8),
        ({"contents": [user()], "systemInstruction": user({"text": "x" * 40})}, 10 + 4),
        ({"contents": [user(IMAGE)]}, 258 + 4),
        ({"contents": [user(pdf(3))]}, 3 * 258 + 4),
        ({"contents": [user({"inlineData": {"mimeType": "application/pdf", "data": "A"}})]}, 262),
        (
            {"contents": [user({"functionCall": {"id": "1", "name": "ab", "args": {"a": 1}}})]},
            3 + 4,
        ),
        (
            {
                "contents": [
                    user({"functionResponse": {"response": {"output": "x"}, "parts": [IMAGE]}})
                ]
            },
            258 + 4 + 4,
        ),
        ({"tools": [{"functionDeclarations": [{"name": "a"}, {"name": "b"}]}]}, 14 + 16),
        ({"tools": [{"googleSearch": {}}]}, 6 + 8),
    ],
)
def test_bytes_media_messages_and_tools_are_counted(request_: GenerateRequest, tokens: int) -> None:
    assert estimate_tokens(request_) == tokens


def test_signatures_count_nothing() -> None:
    part: Json = {"text": "abcd", "thoughtSignature": "A" * 4000}
    assert estimate_tokens({"contents": [user(part)]}) == 1 + 4


@pytest.mark.parametrize(
    "request_",
    [
        {"contents": None, "systemInstruction": None, "tools": None},
        {"contents": ["x", {"parts": {"text": "x"}}, {"parts": ["x", None]}], "tools": {"a": []}},
        {"systemInstruction": "x", "tools": ["x", {"functionDeclarations": {}}]},
        {"contents": [user({"functionCall": None, "functionResponse": [], "inlineData": 1})]},
        {"contents": [user({"functionResponse": {"parts": {"inlineData": {}}}})]},
    ],
)
def test_forms_nobody_documents_are_no_reason_to_fail(request_: GenerateRequest) -> None:
    assert estimate_tokens(request_) >= 0
