"""Realistic payloads, one rich example of everything that the parsers read."""

from typing import Any

Json = dict[str, Any]

PNG = "data:image/png;base64,iVBORw0KGgo="
SCHEMA: Json = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {
        "city": {"type": "string", "minLength": 1, "format": "uri", "default": "x"},
        "unit": {"enum": ["c", "f", 1, None], "description": "unit"},
        "days": {"type": ["integer", "null"], "minimum": 0, "exclusiveMinimum": True},
        "tags": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/t"}]}},
        "any": {"oneOf": [{"const": 1}, {"allOf": [{"type": "object"}]}], "not": {"type": "null"}},
    },
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {"t": {"type": "object", "properties": {"t": {"$ref": "#/$defs/t"}}}},
}
FUNCTION: Json = {"name": "get_weather", "description": "Weather", "parameters": SCHEMA}

CHAT: Json = {
    "model": "gpt-4o",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "Always."}]},
        {
            "role": "user",
            "name": "a",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
                {"type": "file", "file": {"file_data": "data:application/pdf;base64,aGk="}},
                {"type": "image_url", "image_url": {"url": "http://192.0.2.1/a.png"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "hm",
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
                    "extra_content": {"google": {"thought_signature": "c2ln"}},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "18 degrees"},
        {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "x"},
        {"role": "user", "content": "Go on"},
    ],
    "tools": [
        {"type": "function", "function": FUNCTION},
        {"type": "custom", "custom": {"name": "patch", "format": {"type": "text"}}},
    ],
    "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
    "parallel_tool_calls": False,
    "temperature": 0.5,
    "top_p": 0.9,
    "n": 2,
    "stop": ["\n\n"],
    "max_tokens": 100,
    "max_completion_tokens": 100,
    "presence_penalty": 1,
    "frequency_penalty": 1,
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "top_logprobs": 2,
    "seed": 5,
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}},
    "reasoning_effort": "low",
    "stream_options": {"include_usage": True},
    "extra_body": {"google": {"thinking_config": {"thinking_budget": 10}, "safety_settings": []}},
    "web_search_options": {"user_location": {"type": "approximate"}},
    "modalities": ["text"],
    "user": "u",
    "metadata": {"a": "b"},
}
LEGACY: Json = {
    "model": "gpt-3.5-turbo",
    "messages": [{"role": "user", "content": "hi"}],
    "functions": [FUNCTION],
    "function_call": {"name": "get_weather"},
}
COMPLETION: Json = {
    "model": "gpt-3.5-turbo-instruct",
    "prompt": ["Say", "this"],
    "suffix": "end",
    "max_tokens": 7,
    "temperature": 0,
    "echo": True,
    "n": 1,
    "best_of": 1,
    "logprobs": 1,
    "stop": "\n",
}
RESPONSES: Json = {
    "model": "gpt-5",
    "instructions": "Be brief.",
    "input": [
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Hi"},
                {"type": "input_image", "image_url": PNG, "detail": "auto"},
                {"type": "input_file", "filename": "a.pdf", "file_data": "aGk="},
            ],
        },
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gp1:e30="},
        {"type": "function_call", "call_id": "c1", "name": "get_weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text"}]},
        {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "x"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "y"},
        {"type": "local_shell_call", "call_id": "c3", "action": {"command": ["ls"]}},
        {"type": "item_reference", "id": "msg_1"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "t", "annotations": []}]},
    ],
    "tools": [
        {"type": "function", **FUNCTION, "strict": True},
        {"type": "web_search"},
        {"type": "custom", "name": "patch", "format": {"type": "grammar", "definition": "x"}},
        {"type": "local_shell"},
        {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "inner"}]},
        {"type": "mcp", "server_label": "m", "server_url": "https://mcp.example"},
    ],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function"}]},
    "text": {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA}, "verbosity": "low"},
    "reasoning": {"effort": "high", "summary": "auto"},
    "include": ["reasoning.encrypted_content"],
    "previous_response_id": None,
    "max_output_tokens": 100,
    "truncation": "auto",
    "store": True,
    "metadata": {"a": "b"},
    "temperature": 1,
    "top_p": 1,
    "parallel_tool_calls": True,
    "prompt_cache_key": "k",
    "background": False,
}
EMBEDDINGS: Json = {
    "model": "text-embedding-3-small",
    "input": ["a", "b"],
    "dimensions": 3,
    "encoding_format": "base64",
    "user": "u",
}
MESSAGES: Json = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 100,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look"},
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": "aGk="},
                },
                {"type": "document", "source": {"type": "text", "data": "x"}, "title": "t"},
                {"type": "document", "source": {"type": "url", "url": "http://192.0.2.1/a.pdf"}},
                {"type": "search_result", "source": "s", "title": "t", "content": []},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
                {"type": "redacted_thinking", "data": "x"},
                {"type": "text", "text": "I look."},
                {
                    "type": "tool_use",
                    "id": "toolu_1",
                    "name": "get_weather",
                    "input": {"city": "P"},
                },
                {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}},
                {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "is_error": False,
                    "content": [{"type": "text", "text": "18"}, {"type": "tool_reference"}],
                }
            ],
        },
    ],
    "tools": [
        {"name": "get_weather", "description": "Weather", "input_schema": SCHEMA},
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 1},
        {"type": "bash_20250124", "name": "bash"},
        {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
    ],
    "tool_choice": {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
    "stop_sequences": ["END"],
    "temperature": 1,
    "top_k": 5,
    "top_p": 0.9,
    "metadata": {"user_id": "u_session_1"},
    "service_tier": "auto",
    "context_management": {"edits": []},
    "mcp_servers": [],
}
COUNT: Json = {k: MESSAGES[k] for k in ("model", "system", "messages", "tools", "tool_choice")}
NATIVE: Json = {
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "Hi"},
                {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
                {"fileData": {"fileUri": "gs://a/b", "mimeType": "image/png"}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {"text": "hm", "thought": True},
                {"functionCall": {"name": "get_weather", "args": {}}, "thoughtSignature": "c2ln"},
            ],
        },
        {
            "role": "user",
            "parts": [{"functionResponse": {"name": "get_weather", "response": {"t": 1}}}],
        },
    ],
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "tools": [
        {"functionDeclarations": [{"name": "get_weather", "parametersJsonSchema": SCHEMA}]},
        {"googleSearch": {}},
    ],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
    "generationConfig": {
        "temperature": 1,
        "maxOutputTokens": 10,
        "stopSequences": ["x"],
        "candidateCount": 1,
        "thinkingConfig": {"thinkingBudget": 0, "includeThoughts": True},
        "responseMimeType": "application/json",
        "responseSchema": {"type": "OBJECT"},
    },
    "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
    "cachedContent": "cachedContents/x",
    "labels": {"a": "b"},
}
NATIVE_COUNT: Json = {"generateContentRequest": {"model": "models/gemini-2.5-pro", **NATIVE}}
NATIVE_EMBED: Json = {
    "content": {"parts": [{"text": "a"}]},
    "taskType": "RETRIEVAL_QUERY",
    "outputDimensionality": 3,
}
NATIVE_BATCH: Json = {"requests": [{"model": "models/gemini-embedding-001", **NATIVE_EMBED}] * 2}

_PRO = "/v1beta/models/gemini-2.5-pro"
REQUESTS: tuple[tuple[str, str, Json], ...] = (
    ("openai", "/v1/chat/completions", CHAT),
    ("openai", "/v1/chat/completions", LEGACY),
    ("openai", "/v1/completions", COMPLETION),
    ("openai", "/v1/responses", RESPONSES),
    ("openai", "/v1/responses/input_tokens", RESPONSES),
    ("openai", "/v1/embeddings", EMBEDDINGS),
    ("anthropic", "/v1/messages", MESSAGES),
    ("anthropic", "/v1/messages/count_tokens", COUNT),
    ("gemini", f"{_PRO}:generateContent", NATIVE),
    ("gemini", f"{_PRO}:streamGenerateContent", NATIVE),
    ("gemini", f"{_PRO}:countTokens", NATIVE_COUNT),
    ("gemini", "/v1beta/models/gemini-embedding-001:embedContent", NATIVE_EMBED),
    ("gemini", "/v1beta/models/gemini-embedding-001:batchEmbedContents", NATIVE_BATCH),
)
"""(dialect, path, body) of every operation that reads a body."""

# ── what Google answers ──────────────────────────────────────────────────────────────────────────

CHUNKS: tuple[Json, ...] = (
    {
        "candidates": [
            {"content": {"role": "model", "parts": [{"text": "hm", "thought": True}]}, "index": 0}
        ],
        "usageMetadata": {"promptTokenCount": 5, "thoughtsTokenCount": 2, "totalTokenCount": 7},
        "modelVersion": "gemini-2.5-pro",
        "responseId": "r1",
    },
    {
        "candidates": [
            {
                "content": {
                    "role": "model",
                    "parts": [
                        {"text": "Hello "},
                        {"text": "", "thoughtSignature": "c2ln"},
                        {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
                        {"executableCode": {"language": "PYTHON", "code": "1"}},
                        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
                        {
                            "functionCall": {
                                "id": "i",
                                "name": "get_weather",
                                "args": {"city": "P"},
                            },
                            "thoughtSignature": "c2ln",
                        },
                    ],
                },
                "index": 0,
            }
        ],
    },
    {
        "candidates": [
            {
                "content": {"role": "model", "parts": [{"text": "world"}]},
                "finishReason": "STOP",
                "finishMessage": "done",
                "index": 0,
                "safetyRatings": [{"category": "X", "probability": "LOW", "blocked": True}],
                "citationMetadata": {"citations": [{"startIndex": 0, "endIndex": 2, "uri": "u"}]},
                "groundingMetadata": {
                    "webSearchQueries": ["q"],
                    "groundingChunks": [{"web": {"uri": "http://a.test", "title": "A"}}],
                    "groundingSupports": [
                        {
                            "segment": {"startIndex": 0, "endIndex": 5, "text": "Hello"},
                            "groundingChunkIndices": [0],
                        }
                    ],
                },
                "avgLogprobs": -0.1,
            }
        ],
        "promptFeedback": {"blockReason": "SAFETY", "blockReasonMessage": "no"},
        "usageMetadata": {
            "promptTokenCount": 5,
            "candidatesTokenCount": 3,
            "cachedContentTokenCount": 1,
            "thoughtsTokenCount": 2,
            "toolUsePromptTokenCount": 1,
            "totalTokenCount": 10,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 5}],
        },
    },
)
"""An answer in three chunks: everything a chunk may carry."""

TYPE = "type.googleapis.com/google.rpc."
REFUSAL: Json = {
    "error": {
        "code": 429,
        "message": "Quota exceeded. Please retry in 12.5s. Your quota resets after 1h2m3s.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [
            {
                "@type": f"{TYPE}ErrorInfo",
                "reason": "RATE_LIMIT_EXCEEDED",
                "domain": "cloudcode-pa.googleapis.com",
                "metadata": {
                    "quotaResetDelay": "373.8ms",
                    "quotaResetTimeStamp": "2026-11-24T03:00:00Z",
                    "quota_limit": "PerMinute",
                    "consumer": "projects/123456",
                    "service": "aiplatform.googleapis.com",
                    "validation_url": "https://accounts.google.com/x",
                },
            },
            {"@type": f"{TYPE}RetryInfo", "retryDelay": "33740.9s"},
            {
                "@type": f"{TYPE}QuotaFailure",
                "violations": [{"quotaId": "RequestsPerMinute", "quotaMetric": "m"}],
            },
            {"@type": f"{TYPE}Help", "links": [{"url": "https://a.test", "description": "Verify"}]},
            {"@type": f"{TYPE}BadRequest", "fieldViolations": [{"field": "contents"}]},
            {"@type": f"{TYPE}LocalizedMessage", "locale": "en", "message": "words"},
        ],
    }
}
REASONS = (
    *("RATE_LIMIT_EXCEEDED", "QUOTA_EXHAUSTED", "MODEL_CAPACITY_EXHAUSTED", "API_KEY_INVALID", ""),
    *("SERVICE_DISABLED", "VALIDATION_REQUIRED", "IAM_PERMISSION_DENIED", "NEW_REASON"),
)
STATUSES = (200, 400, 401, 403, 404, 409, 413, 418, 429, 499, 500, 503, 504, 599)

LOAD: Json = {
    "currentTier": {"id": "standard-tier", "name": "Gemini Code Assist"},
    "paidTier": {"id": "g1", "name": "Pro", "availableCredits": [{"creditType": "x"}]},
    "allowedTiers": [{"id": "free-tier", "isDefault": True, "name": "Free"}],
    "ineligibleTiers": [
        {
            "reasonCode": "VALIDATION_REQUIRED",
            "reasonMessage": "verify",
            "validationUrl": "https://accounts.google.com/x",
            "validationUrlLinkText": "Verify",
            "validationErrorMessage": "m",
        }
    ],
    "cloudaicompanionProject": {"id": "fake-project"},
}
ONBOARD: Json = {
    "name": "operations/x",
    "done": True,
    "response": {"cloudaicompanionProject": {"id": "p", "name": "n"}},
}
QUOTA: Json = {
    "buckets": [
        {
            "modelId": "gemini-2.5-pro",
            "tokenType": "REQUESTS",
            "remainingAmount": "10",
            "remainingFraction": 0.5,
            "resetTime": "2026-11-24T03:00:00Z",
        }
    ]
}
MODELS: Json = {
    "models": [
        {
            "name": "models/gemini-2.5-pro",
            "displayName": "Gemini 2.5 Pro",
            "description": "d",
            "inputTokenLimit": 1048576,
            "outputTokenLimit": 65536,
            "supportedGenerationMethods": ["generateContent", "countTokens"],
        }
    ],
    "nextPageToken": "",
}
COUNTED: Json = {"totalTokens": 7}
EMBEDDED: Json = {
    "embeddings": [{"values": [0.1, 0.2, 0.3]}, {"values": [0.1, 0.2, 0.3]}],
    "usageMetadata": {"promptTokenCount": 2},
}
PREDICTED: Json = {
    "predictions": [
        {"embeddings": {"values": [0.1, 0.2], "statistics": {"token_count": 1, "truncated": False}}}
    ]
    * 2
}

GRANT: Json = {
    "access_token": "an-access-token-value",
    "refresh_token": "a-refresh-token-value",
    "expires_in": 3599,
    "scope": "openid https://www.googleapis.com/auth/cloud-platform",
    "token_type": "Bearer",
    "id_token": "eyJhbGciOiJub25lIn0.eyJlbWFpbCI6ImFAZXhhbXBsZS5jb20ifQ.",
    "email": "a@example.com",
}
NO_GRANT: Json = {
    "error": "invalid_grant",
    "error_description": "Token has been expired or revoked.",
    "error_subtype": "invalid_rapt",
    "error_uri": "https://a.test",
}

# ── files ────────────────────────────────────────────────────────────────────────────────────────

CLIENT: Json = {
    "installed": {
        "client_id": "id.apps.example",
        "client_secret": "not-a-secret-value",
        "auth_uri": "https://accounts.google.com/o/oauth2/v2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
        "redirect_uris": ["http://localhost"],
        "revoke_uri": "https://oauth2.googleapis.com/revoke",
    }
}
TOKEN_FILES: tuple[Json, ...] = (
    {
        "type": "authorized_user",
        "token": "an-access-token-value",
        "refresh_token": "a-refresh-token-value",
        "expiry": "2026-11-24T03:00:00Z",
        "scopes": ["a", "b"],
        "account": "a@example.com",
        "copied": True,
        **CLIENT["installed"],
    },
    {
        "access_token": "an-access-token-value",
        "refresh_token": "a-refresh-token-value",
        "scope": "a b",
        "token_type": "Bearer",
        "id_token": "x.y.z",
        "expiry_date": 1795489200000,
    },
    {
        "access_token": "an-access-token-value",
        "refresh_token": "a-refresh-token-value",
        "expires_in": 3599,
        "scope": "a b",
        "token_type": "Bearer",
    },
)
ADC_FILES: tuple[Json, ...] = (
    {
        "type": "authorized_user",
        "client_id": "id.apps.example",
        "client_secret": "not-a-secret-value",
        "refresh_token": "a-refresh-token-value",
        "quota_project_id": "p",
        "account": "",
        "token_uri": "http://127.0.0.1:9/token",
    },
    {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "k",
        "private_key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "client_email": "a@p.iam.gserviceaccount.com",
        "token_uri": "http://127.0.0.1:9/token",
    },
    {
        "type": "external_account",
        "audience": "//iam.googleapis.com/x",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "http://127.0.0.1:9/token",
        "credential_source": {"file": "/nonexistent/token"},
    },
)
SETTINGS = """
PORT = 8082
HOST = "127.0.0.1,::1"
RATE_LIMIT = 0.5
wait-mode = "on"
QUEUE_LIMIT = 5
UPSTREAM = "gemini-api"
TOKEN_FILE = "~/token.json"
API_KEY = ["one-key-of-mine", "two"]
TRUSTED_NETWORKS = "10.0.0.0/8,gateway"
ALLOWED_ORIGINS = ["https://a.test"]
GOOGLE_GEMINI_BASE_URL = "http://127.0.0.1:9999"
GOOGLE_CLOUD_PROJECT = "p-1"
UNKNOWN = 2026-01-01T00:00:00Z
[aliases]
"my-model" = "gemini-2.5-pro"
[models]
best = "gemini-2.5-pro"
"""
