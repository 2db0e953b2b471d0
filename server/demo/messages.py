"""What the Gemini API takes, field by field; what is not listed here is an unknown name.

Sources: google-genai 3.4.0 ``types.py`` and its converters.
"""

from server.demo.proto import (
    BOOL,
    BYTES,
    DOUBLE,
    FLOAT,
    INT32,
    INT64,
    STRING,
    STRUCT,
    VALUE,
    MapOf,
    Message,
    Repeated,
    enum,
    message,
)

_SCHEMA_TYPES = ("STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL")

SCHEMA = Message("type.googleapis.com/google.ai.Schema")
SCHEMA.fields.update(
    type=enum("ai.Type", "TYPE_UNSPECIFIED", *_SCHEMA_TYPES, any_case=True),
    format=STRING,
    title=STRING,
    description=STRING,
    nullable=BOOL,
    enum=Repeated(STRING),
    default=VALUE,
    example=VALUE,
    items=SCHEMA,
    minItems=INT64,
    maxItems=INT64,
    properties=MapOf(SCHEMA),
    required=Repeated(STRING),
    minProperties=INT64,
    maxProperties=INT64,
    minimum=DOUBLE,
    maximum=DOUBLE,
    minLength=INT64,
    maxLength=INT64,
    pattern=STRING,
    anyOf=Repeated(SCHEMA),
    propertyOrdering=Repeated(STRING),
    additionalProperties=VALUE,
    defs=MapOf(SCHEMA),
    ref=STRING,
)

_BLOB = message("ai.Blob", {"mimeType": STRING, "data": BYTES, "displayName": STRING})
_FILE = message("ai.FileData", {"mimeType": STRING, "fileUri": STRING, "displayName": STRING})
_CALL = message("ai.FunctionCall", {"id": STRING, "name": STRING, "args": STRUCT})
_RESULT = message(
    "ai.FunctionResponse",
    {
        "id": STRING,
        "name": STRING,
        "response": STRUCT,
        "parts": Repeated(
            message(
                "ai.FunctionResponsePart",
                {"inlineData": _BLOB, "fileData": _FILE},
                ("inlineData", "fileData"),
            )
        ),
        "willContinue": BOOL,
        "scheduling": enum("ai.Scheduling", "SILENT", "WHEN_IDLE", "INTERRUPT"),
    },
)

DATA_FIELDS = (
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
)
"""Exactly one of these makes a part."""


PART = message(
    "ai.Part",
    {
        "text": STRING,
        "inlineData": _BLOB,
        "fileData": _FILE,
        "functionCall": _CALL,
        "functionResponse": _RESULT,
        "executableCode": message(
            "ai.ExecutableCode", {"id": STRING, "language": STRING, "code": STRING}
        ),
        "codeExecutionResult": message(
            "ai.CodeExecutionResult", {"id": STRING, "outcome": STRING, "output": STRING}
        ),
        "thought": BOOL,
        "thoughtSignature": BYTES,
        "videoMetadata": message(
            "ai.VideoMetadata", {"startOffset": STRING, "endOffset": STRING, "fps": DOUBLE}
        ),
        "mediaResolution": message("ai.MediaResolution", {"level": STRING, "numTokens": INT32}),
        "toolCall": STRUCT,
        "toolResponse": STRUCT,
        "partMetadata": STRUCT,
    },
    DATA_FIELDS,
)
CONTENT = message("ai.Content", {"role": STRING, "parts": Repeated(PART)})

_DECLARATION = message(
    "ai.FunctionDeclaration",
    {
        "name": STRING,
        "description": STRING,
        "parameters": SCHEMA,
        "parametersJsonSchema": VALUE,
        "response": SCHEMA,
        "responseJsonSchema": VALUE,
        "behavior": enum("ai.Behavior", "BLOCKING", "NON_BLOCKING"),
    },
)

BUILT_IN_TOOLS = (
    "googleSearch",
    "googleSearchRetrieval",
    "urlContext",
    "codeExecution",
    "googleMaps",
    "computerUse",
)

TOOL = message(
    "ai.Tool",
    {"functionDeclarations": Repeated(_DECLARATION)} | dict.fromkeys(BUILT_IN_TOOLS, STRUCT),
)


_CALLING = message(
    "ai.FunctionCallingConfig",
    {
        "mode": enum("ai.Mode", "MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"),
        "allowedFunctionNames": Repeated(STRING),
    },
)
TOOL_CONFIG = message(
    "ai.ToolConfig",
    {
        "functionCallingConfig": _CALLING,
        "retrievalConfig": STRUCT,
        "includeServerSideToolInvocations": BOOL,
    },
)

LEVELS = ("MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH")

_THINKING = message(
    "ai.ThinkingConfig",
    {
        "includeThoughts": BOOL,
        "thinkingBudget": INT32,
        "thinkingLevel": enum("ai.ThinkingLevel", *LEVELS, any_case=True),
    },
)


GENERATION_CONFIG = message(
    "ai.GenerationConfig",
    {
        "temperature": FLOAT,
        "topP": FLOAT,
        "topK": FLOAT,
        "candidateCount": INT32,
        "maxOutputTokens": INT32,
        "stopSequences": Repeated(STRING),
        "responseLogprobs": BOOL,
        "logprobs": INT32,
        "presencePenalty": FLOAT,
        "frequencyPenalty": FLOAT,
        "seed": INT32,
        "responseMimeType": STRING,
        "responseSchema": SCHEMA,
        "responseJsonSchema": VALUE,
        "responseModalities": Repeated(enum("ai.Modality", "TEXT", "IMAGE", "AUDIO")),
        "mediaResolution": STRING,
        "speechConfig": STRUCT,
        "thinkingConfig": _THINKING,
        "imageConfig": STRUCT,
        "enableEnhancedCivicAnswers": BOOL,
    },
)

_HARMS = ("HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT", "CIVIC_INTEGRITY")
_THRESHOLDS = ("OFF", "BLOCK_NONE", "BLOCK_ONLY_HIGH", "BLOCK_MEDIUM_AND_ABOVE")


SAFETY = message(
    "ai.SafetySetting",
    {
        "category": enum("ai.HarmCategory", *(f"HARM_CATEGORY_{harm}" for harm in _HARMS)),
        "threshold": enum("ai.HarmBlockThreshold", *_THRESHOLDS, "BLOCK_LOW_AND_ABOVE"),
    },
)

SERVICE_TIERS = ("flex", "standard", "priority")

_SERVICE_TIER = enum(
    "ai.ServiceTier",
    *SERVICE_TIERS,
    *(f"SERVICE_TIER_{tier.upper()}" for tier in ("unspecified", *SERVICE_TIERS)),
)


GENERATE = message(
    "ai.GenerateContentRequest",
    {
        "model": STRING,
        "contents": Repeated(CONTENT),
        "systemInstruction": CONTENT,
        "tools": Repeated(TOOL),
        "toolConfig": TOOL_CONFIG,
        "generationConfig": GENERATION_CONFIG,
        "safetySettings": Repeated(SAFETY),
        "cachedContent": STRING,
        "serviceTier": _SERVICE_TIER,
        "store": BOOL,
        "continuationToken": STRING,
    },
)
"""``models/*:generateContent``."""

COUNT = message(
    "ai.CountTokensRequest",
    {
        "model": STRING,
        "contents": Repeated(CONTENT),
        "generateContentRequest": GENERATE,
    },
)
