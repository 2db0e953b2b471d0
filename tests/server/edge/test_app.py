"""The edge and everything behind it, judged by the official SDKs over real sockets."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from server.edge.request import dump, dump_pieces
from server.limits import HEADER_CHARS
from tests.faults import clocked, until
from tests.google import failures
from tests.google.model import Answer
from tests.rig import running

TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "city": {"$ref": "#/$defs/city"},
                "unit": {"const": "celsius"},
                "days": {"type": "integer", "exclusiveMinimum": 0},
            },
            "required": ["city"],
            "additionalProperties": False,
            "$defs": {"city": {"type": "string", "title": "City"}},
        },
    },
}
CLAUDE_TOOL: Any = {
    "name": "get_weather",
    "description": "Weather of a city",
    "input_schema": TOOL["function"]["parameters"],
}
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 62).decode()


async def test_chat_through_the_openai_sdk(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        answer = await rig.openai().chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "Hello"}]
        )
        message = answer.choices[0].message
        assert message.content is not None
        assert "Hello" in message.content
        assert answer.choices[0].finish_reason == "stop"
        assert answer.model == "gpt-4o"
        assert rig.google.calls("streamGenerateContent")[0].model == "gemini-4-hydrogen"


async def test_nothing_is_forced_on_a_plain_request(tmp_path: Path) -> None:
    """The original program forced temperature 0.7 and 4096 tokens."""
    async with running(tmp_path) as rig:
        await rig.openai().chat.completions.create(
            model="gemini-2.5-flash", messages=[{"role": "user", "content": "Hello"}]
        )
        config = rig.sent[0].get("generationConfig", {})
        assert not {"temperature", "maxOutputTokens", "topP", "topK"} & set(config)


async def test_chat_streams_with_exact_usage_and_one_finish(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        stream: Any = await rig.openai().chat.completions.create(
            model="gemini-2.5-pro",
            messages=[
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Hi"},
            ],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
        finishes = [c.choices[0].finish_reason for c in chunks if c.choices]
        assert [f for f in finishes if f] == ["stop"]
        usage = chunks[-1].usage
        assert usage is not None
        assert usage.completion_tokens_details is not None
        assert usage.completion_tokens_details.reasoning_tokens
        assert rig.sent[0]["systemInstruction"]["parts"][0]["text"] == "Be brief."
        recent = (await rig.usage())["recent_requests"][0]
        assert recent["input_tokens"] == usage.prompt_tokens
        assert recent["output_tokens"] == usage.completion_tokens
        assert recent["estimated"] is False


async def test_a_tool_conversation_through_the_openai_sdk(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        client = rig.openai()
        messages: list[Any] = [{"role": "user", "content": "Weather in both Paris and Rome?"}]
        for model in ("gemini-2.5-pro", "gemini-3-flash-preview"):
            history = list(messages)
            first = await client.chat.completions.create(
                model=model, messages=history, tools=[TOOL]
            )
            asked = first.choices[0]
            assert asked.finish_reason == "tool_calls"
            calls = asked.message.tool_calls or []
            assert len({call.id for call in calls}) == len(calls) == 2
            history.append(asked.message)
            for call in reversed(calls):
                history.append({"role": "tool", "tool_call_id": call.id, "content": "22 degrees"})
            second = await client.chat.completions.create(
                model=model, messages=history, tools=[TOOL]
            )
            assert "22 degrees" in (second.choices[0].message.content or "")
            results = rig.sent[-1]["contents"][-1]["parts"]
            assert [r["functionResponse"]["name"] for r in results] == ["get_weather"] * 2


async def test_streamed_tool_calls_have_an_index_and_end_once(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        stream: Any = await rig.openai().chat.completions.create(
            model="gemini-2.5-pro",
            messages=[{"role": "user", "content": "Do both please"}],
            tools=[TOOL],
            stream=True,
        )
        indexes, finishes = set(), []
        async for chunk in stream:
            for call in chunk.choices[0].delta.tool_calls or []:
                indexes.add(call.index)
            if chunk.choices[0].finish_reason:
                finishes.append(chunk.choices[0].finish_reason)
        assert indexes == {0, 1}
        assert finishes == ["tool_calls"]


async def test_structured_output_images_and_choices(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        client = rig.openai()
        structured = await client.chat.completions.create(
            model="gemini-2.5-flash",
            messages=[{"role": "user", "content": "A city"}],
            response_format={
                "type": "json_schema",
                "json_schema": {
                    "name": "city",
                    "strict": True,
                    "schema": {
                        "type": "object",
                        "properties": {"name": {"type": "string"}},
                        "required": ["name"],
                        "additionalProperties": False,
                    },
                },
            },
        )
        assert "name" in json.loads(structured.choices[0].message.content or "")
        seen = await client.chat.completions.create(
            model="gemini-2.5-flash",
            messages=[
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is this?"},
                        {
                            "type": "image_url",
                            "image_url": {"url": f"data:image/png;base64,{PNG}"},
                        },
                    ],
                }
            ],
        )
        assert "image/png" in (seen.choices[0].message.content or "")
        three = await client.chat.completions.create(
            model="gemini-2.5-flash", messages=[{"role": "user", "content": "Hi"}], n=3
        )
        assert [choice.index for choice in three.choices] == [0, 1, 2]


async def test_completions_embeddings_and_models_through_the_openai_sdk(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        client = rig.openai()
        legacy = await client.completions.create(model="gemini-2.5-flash", prompt="Say hi")
        assert legacy.choices[0].text
        vectors = await client.embeddings.create(
            model="text-embedding-3-small", input=["a", "b"], dimensions=64
        )
        assert [len(item.embedding) for item in vectors.data] == [64, 64]
        listed = [model.id async for model in client.models.list()]
        assert {"gemini-2.5-pro", "gpt-4o"} <= set(listed)
        assert (await client.models.retrieve("gemini-2.5-pro")).id == "gemini-2.5-pro"
        raw = await rig.http.post(
            "/v1/embeddings", json={"model": "gemini-embedding-001", "input": "x"}
        )
        assert "x-embedding-mock" not in raw.headers


async def test_messages_through_the_anthropic_sdk(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        client = rig.anthropic()
        answer = await client.messages.create(
            model="claude-sonnet-5-5",
            max_tokens=2000,
            system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
            messages=[{"role": "user", "content": "Hello"}],
        )
        assert answer.stop_reason == "end_turn"
        block = answer.content[0]
        assert block.type == "text"
        assert "Hello" in block.text
        async with client.messages.stream(
            model="claude-sonnet-5-5",
            max_tokens=9000,
            thinking={"type": "enabled", "budget_tokens": 2000},
            messages=[{"role": "user", "content": "Hello"}],
        ) as stream:
            final = await stream.get_final_message()
        assert [block.type for block in final.content] == ["thinking", "text"]
        assert final.usage.input_tokens > 0
        count = await client.messages.count_tokens(
            model="claude-sonnet-5-5", messages=[{"role": "user", "content": "Hello"}]
        )
        assert count.input_tokens > 0
        models = [model async for model in client.models.list()]
        assert any(model.id == "claude-sonnet-5-5" for model in models)


@pytest.mark.parametrize("model", ["gemini-2.5-pro", "gemini-3-flash-preview"])
async def test_a_tool_conversation_through_the_anthropic_sdk(tmp_path: Path, model: str) -> None:
    async with running(tmp_path) as rig:
        client = rig.anthropic()
        history: list[Any] = [{"role": "user", "content": "Weather in both Paris and Rome?"}]
        first = await client.messages.create(
            model=model,
            max_tokens=4000,
            messages=history,
            tools=[CLAUDE_TOOL],
        )
        assert first.stop_reason == "tool_use"
        calls = [block for block in first.content if block.type == "tool_use"]
        history.append({"role": "assistant", "content": first.content})
        history.append(
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": call.id, "content": "22 degrees"}
                    for call in reversed(calls)
                ],
            }
        )
        second = await client.messages.create(
            model=model,
            max_tokens=4000,
            messages=history,
            tools=[CLAUDE_TOOL],
        )
        assert second.content[0].type == "text"
        assert "22 degrees" in second.content[0].text


async def test_errors_come_in_the_callers_own_dialect(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        with pytest.raises(openai.BadRequestError) as bad:
            await rig.openai().chat.completions.create(model="gpt-4o", messages=[])
        assert bad.value.param == "messages"
        with pytest.raises(openai.NotFoundError) as missing:
            await rig.openai().chat.completions.create(
                model="llama-3", messages=[{"role": "user", "content": "x"}]
            )
        assert missing.value.code == "model_not_found"
        body = {"model": "claude-opus-5-5", "max_tokens": "many", "messages": []}
        answer = await rig.http.post("/v1/messages", json=body)
        assert answer.status_code == 400
        assert answer.json()["type"] == "error"
        assert "max_tokens" in answer.json()["error"]["message"]
        rig.google.fail(failures.quota_exhausted())
        with pytest.raises(anthropic.RateLimitError) as limited:
            await rig.anthropic().messages.create(
                model="claude-opus-5-5",
                max_tokens=100,
                messages=[{"role": "user", "content": "x"}],
            )
        headers = limited.value.response.headers
        assert headers["x-should-retry"] == "false"
        assert int(headers["retry-after"]) > 3600
        assert headers["request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/chat/completions", b"{", 400),
        ("/v1/chat/completions", b"[]", 400),
        ("/v1/chat/completions", b'{"model":"gpt-4o","messages":"hi"}', 400),
        ("/v1/messages", b"", 400),
        ("/v1/nowhere", b"{}", 404),
    ],
)
async def test_bad_input_is_a_clear_error_and_the_server_goes_on(
    tmp_path: Path, path: str, body: bytes, status: int
) -> None:
    async with running(tmp_path) as rig:
        headers = {"content-type": "application/json"}
        answer = await rig.http.post(path, content=body, headers=headers)
        assert answer.status_code == status
        error = answer.json()["error"]
        assert error["message"]
        assert answer.headers["x-request-id"]
        assert (await rig.http.get("/health")).json()["status"] == "ok"


async def test_errors_outside_any_route_are_worded_by_headers_and_address(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        openai_shape = (await rig.http.get("/v1/nowhere")).json()
        assert set(openai_shape["error"]) == {"message", "type", "param", "code"}
        headers = {"anthropic-version": "2023-06-01"}
        assert (await rig.http.get("/v1/nowhere", headers=headers)).json()["type"] == "error"
        google = (await rig.http.get("/v1beta/nowhere")).json()
        assert google["error"]["status"] == "NOT_FOUND"


async def test_wrong_method_and_wrong_type(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        assert (await rig.http.get("/v1/chat/completions")).status_code == 405
        answer = await rig.http.post("/v1/messages", content=b"{}")
        assert answer.status_code == 415
        assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "path", ["/chat/completions", "/v1/v1/chat/completions", "/v1/chat/completions/"]
)
async def test_paths_with_without_and_with_a_doubled_v1(tmp_path: Path, path: str) -> None:
    async with running(tmp_path) as rig:
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}]}
        assert (await rig.http.post(path, json=body)).status_code == 200


async def test_the_model_list_follows_the_callers_headers(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:

        async def keys(**headers: str) -> set[str]:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return set((await rig.http.get("/v1/models", headers=named)).json())

        assert "object" in await keys()
        assert "object" in await keys(authorization="Bearer x", x_api_key="x")
        assert "has_more" in await keys(x_api_key="x")
        assert "has_more" in await keys(anthropic_version="2026-10-21", authorization="Bearer x")
        slash = await rig.http.get("/v1/models/models%2Fgemini-2.5-pro")
        assert slash.status_code == 200


async def test_an_upstream_error_never_becomes_assistant_text(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        rig.google.fail(failures.error_event())
        client = rig.openai()
        stream = await client.chat.completions.create(
            model="gemini-2.5-pro", messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        choices: list[Any] = []
        with pytest.raises(openai.APIError):
            await collect(stream, choices)
        assert choices
        assert all("rror" not in (choice.delta.content or "") for choice in choices)
        assert all(choice.finish_reason is None for choice in choices)
        rig.google.fail(failures.error_event())
        claude = rig.anthropic()
        with pytest.raises(anthropic.APIStatusError):
            await final_message(claude)
        outcomes = [entry["outcome"] for entry in (await rig.usage())["recent_requests"]]
        assert "ok" not in outcomes


async def collect(stream: Any, choices: list[Any]) -> None:
    async for chunk in stream:
        choices.append(chunk.choices[0])


async def final_message(client: anthropic.AsyncAnthropic) -> None:
    async with client.messages.stream(
        model="claude-opus-5-5", max_tokens=50, messages=[{"role": "user", "content": "Hi"}]
    ) as messages:
        await messages.get_final_message()


async def test_two_slow_streams_run_side_by_side(tmp_path: Path) -> None:
    """The original program answered one stream after the other."""
    async with running(tmp_path) as rig:
        all_begun = asyncio.Event()
        rig.google.chunk_delay_s, rig.google.sleep = 1, lambda _: all_begun.wait()
        client = rig.openai()
        begun = 0

        async def ask() -> None:
            nonlocal begun
            stream = await client.chat.completions.create(
                model="gemini-2.5-pro", messages=[{"role": "user", "content": "Hi"}], stream=True
            )
            await anext(stream)
            begun += 1
            async for _ in stream:
                pass

        asking = asyncio.gather(*(ask() for _ in range(5)))
        await until(lambda: begun == 5)
        assert [entry.finished for entry in rig.google.calls("streamGenerateContent")] == [
            False
        ] * 5
        all_begun.set()
        await asking


async def test_a_client_that_leaves_cancels_the_request_upstream(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        rig.google.chunk_delay_s = 0.05
        body = {
            "model": "gemini-2.5-pro",
            "stream": True,
            "messages": [{"role": "user", "content": "x" * 4000}],
        }
        async with rig.http.stream("POST", "/v1/chat/completions", json=body) as response:
            async for _ in response.aiter_bytes():
                break
        await until(lambda: rig.google.calls("streamGenerateContent")[0].cancelled)
        await until(lambda: not rig.gateway.pipeline.live)
        assert (await rig.usage())["recent_requests"][0]["outcome"] == "cancelled"


async def test_a_waiting_stream_is_kept_alive_and_then_answered(tmp_path: Path) -> None:
    async with running(tmp_path, wait_mode=True, keep_alive_s=0.1) as rig:
        rig.google.fail(failures.rate_limited(delay_s=1.0))
        body = {
            "model": "claude-opus-5-5",
            "stream": True,
            "max_tokens": 100,
            "messages": [{"role": "user", "content": "Hi"}],
        }
        async with rig.http.stream("POST", "/v1/messages", json=body) as response:
            text = (await response.aread()).decode()
        assert response.status_code == 200
        assert text.startswith(": ")
        assert text.rstrip().endswith('data: {"type":"message_stop"}')


async def test_three_waiting_requests_do_not_deadlock(tmp_path: Path) -> None:
    async with running(tmp_path, wait_mode=True, rate_limit_s=2.0) as rig:
        clock, throttle = clocked(rig), rig.gateway.throttle
        client = rig.openai()
        asking = asyncio.gather(
            *(
                client.chat.completions.with_raw_response.create(
                    model="gpt-4o", messages=[{"role": "user", "content": str(number)}]
                )
                for number in range(4)
            )
        )
        for sent in range(1, 5):
            await until(lambda: throttle.state().waiting == 4 - sent)  # noqa: B023
            await until(lambda: len(rig.sent) == sent)  # noqa: B023
            await clock.advance(2)
        waits = sorted(int(a.headers.get("x-queue-wait-ms", 0)) for a in await asking)
        assert waits == [0, 2000, 4000, 6000]


async def test_without_wait_mode_the_limit_is_told_truthfully(tmp_path: Path) -> None:
    async with running(tmp_path, rate_limit_s=30) as rig:
        client = rig.openai()
        await client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "1"}]
        )
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": "2"}]
            )
        assert 28 <= int(caught.value.response.headers["retry-after"]) <= 30


async def test_signatures_survive_a_client_that_drops_them_and_a_restart(tmp_path: Path) -> None:
    messages: list[Any] = [{"role": "user", "content": "Weather?"}]
    async with running(tmp_path) as rig:
        first = await rig.openai().chat.completions.create(
            model="gemini-3-flash-preview", messages=messages, tools=[TOOL]
        )
    call = (first.choices[0].message.tool_calls or [])[0]
    assert call.type == "function"
    function = {"name": call.function.name, "arguments": call.function.arguments}
    bare = {"id": call.id, "type": "function", "function": function}
    messages.append({"role": "assistant", "content": None, "tool_calls": [bare]})
    messages.append({"role": "tool", "tool_call_id": call.id, "content": "sunny"})
    async with running(tmp_path) as rig:
        await rig.openai().chat.completions.create(
            model="gemini-3-flash-preview", messages=messages, tools=[TOOL]
        )
        part = rig.sent[0]["contents"][1]["parts"][0]
        assert part["thoughtSignature"]
        assert part["thoughtSignature"] != "skip_thought_signature_validator"


async def test_not_signed_in_says_where_to_go_and_is_not_retried(tmp_path: Path) -> None:
    async with running(tmp_path, gemini_api_key=None) as rig:
        with pytest.raises(openai.AuthenticationError, match="/setup") as caught:
            await rig.openai().chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": "x"}]
            )
        assert caught.value.response.headers["x-should-retry"] == "false"
        assert caught.value.code == "google_sign_in_required"
        listed = [model.id async for model in rig.openai().models.list()]
        assert "gemini-4-hydrogen" in listed
        counts = await asyncio.gather(
            *(
                rig.anthropic().messages.count_tokens(
                    model="claude-opus-5-5", messages=[{"role": "user", "content": "x" * 400}]
                )
                for _ in range(24)
            )
        )
        assert all(count.input_tokens > 90 for count in counts)


async def test_mock_embeddings_say_so_or_are_refused(tmp_path: Path) -> None:
    async with running(tmp_path, upstream="demo") as rig:
        answer = await rig.http.post("/v1/embeddings", json={"model": "e", "input": [[1, 2], [3]]})
        assert answer.headers["x-embedding-mock"] == "true"
        assert len(answer.json()["data"]) == 2
        assert (await rig.usage())["recent_requests"][0]["mock"] is True
    async with running(tmp_path, upstream="demo", embeddings="off") as rig:
        answer = await rig.http.post("/v1/embeddings", json={"model": "e", "input": "x"})
        assert answer.status_code == 501


async def test_probes_cors_and_preflight(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        for method, path in (
            ("HEAD", "/"),
            ("HEAD", "/api/hello"),
            ("POST", "/api/event_logging/batch"),
        ):
            assert (await rig.http.request(method, path)).status_code == 200
        origin = {"origin": "http://localhost:3000"}
        asked = {"access-control-request-method": "POST", "access-control-request-headers": "x-a"}
        preflight = await rig.http.options("/v1/messages", headers={**origin, **asked})
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == origin["origin"]
        assert preflight.headers["access-control-allow-headers"] == "x-a"
        plain = await rig.http.get("/v1/models", headers=origin)
        assert plain.headers["access-control-allow-origin"] == origin["origin"]
        evil = await rig.http.get("/v1/models", headers={"origin": "https://evil.example"})
        assert evil.status_code == 403
        assert "access-control-allow-origin" not in evil.headers


async def test_a_request_that_comes_back_to_itself_is_a_loop(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        answer = await rig.http.get("/v1/models", headers={"via": "1.1 gemini-api-proxy"})
        assert answer.status_code == 508


async def test_dropped_fields_are_named(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        body = {
            "model": "gpt-4o",
            "messages": [{"role": "user", "content": "x"}],
            "frequency_penalty": 0.5,
            "new_feature": True,
            **{f"x{number}": 1 for number in range(200)},
        }
        answer = await rig.http.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200
        dropped = answer.headers["x-proxy-dropped"]
        assert "frequency_penalty" in dropped
        assert "new_feature" in dropped
        assert len(dropped) <= HEADER_CHARS
        assert dropped.endswith(f"+{202 - dropped.count(',')}")
        assert answer.headers["x-gemini-model"] == "gemini-4-hydrogen"


async def test_what_a_client_names_cannot_break_our_headers_or_googles_address(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as rig:
        body = {
            "model": "gemini-x\r\nset-cookie: a=b/../../v1beta/models?y#z",
            "messages": [{"role": "user", "content": "x"}],
            "odd\r\nfield": 1,
            "ü" * 2000: 2,
        }
        answer = await rig.http.post("/v1/chat/completions", json=body)
        assert answer.status_code == 404
        assert not rig.google.calls("streamGenerateContent")
        good = await rig.http.post("/v1/chat/completions", json={**body, "model": "gpt-4o"})
        assert good.status_code == 200
        assert good.headers["x-proxy-dropped"] == "odd\\u000d\\u000afield, +1"
        assert "set-cookie" not in good.headers


async def test_stopping_ends_a_stream_with_an_error_in_its_dialect(tmp_path: Path) -> None:
    received = b""
    async with running(tmp_path) as rig:
        rig.google.answers.append(Answer(parts=[{"text": letter} for letter in "abcdefgh"]))
        rig.google.chunk_delay_s, rig.google.sleep = 1, lambda _: asyncio.Event().wait()
        body = {
            "model": "claude-opus-5-5",
            "stream": True,
            "max_tokens": 100,
            "messages": [{"role": "user", "content": "Hi"}],
        }
        async with rig.http.stream("POST", "/v1/messages", json=body) as response:
            async for piece in response.aiter_bytes():
                received += piece
                rig.edge.stop()
    assert b"event: error" in received
    assert b"message_stop" not in received


async def test_upstream_requests_identify_us_honestly(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}]}
        await rig.http.post("/v1/chat/completions", json=body)
        sent = rig.google.calls("streamGenerateContent")[0].headers
        assert sent["via"] == "1.1 gemini-api-proxy"
        assert sent["user-agent"].startswith("gemini-api-proxy/")


@pytest.mark.parametrize("count", [0, 1, 9, 300])
def test_an_answer_in_pieces_is_the_same_answer(count: int) -> None:
    body = {"object": "list", "data": [{"n": n, "v": [0.5] * 100} for n in range(count)], "z": {}}
    pieces = dump_pieces(body)
    assert b"".join(pieces) == dump(body)
    assert (len(pieces) > 1) == (count == 300)
    assert dump_pieces({}) == [b"{}"]
