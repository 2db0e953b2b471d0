"""The messages all doors take, field by field; what is not listed here is an unknown name.

Code Assist is shaped like Vertex AI; the Gemini API differs in a few fields. Sources: google-genai
3.4.0 ``types.py`` and its converters (which fields belong to which door), Gemini CLI 0.61
``code_assist/converter.js`` (the envelope).
"""

from typing import Literal

from server.google_fake.proto import (
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
    Spec,
    enum,
    message,
)

Door = Literal["code-assist", "gemini-api", "vertex"]

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


def _part(door: Door) -> Message:
    fields: dict[str, Spec] = {
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
    }
    if door == "gemini-api":
        fields |= {"toolCall": STRUCT, "toolResponse": STRUCT, "partMetadata": STRUCT}
    return message("ai.Part", fields, DATA_FIELDS)


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

_TOOL = message(
    "ai.Tool",
    {"functionDeclarations": Repeated(_DECLARATION)} | dict.fromkeys(BUILT_IN_TOOLS, STRUCT),
)


def _tool_config(door: Door) -> Message:
    calling = message(
        "ai.FunctionCallingConfig",
        {
            "mode": enum("ai.Mode", "MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"),
            "allowedFunctionNames": Repeated(STRING),
        },
    )
    fields: dict[str, Spec] = {"functionCallingConfig": calling, "retrievalConfig": STRUCT}
    if door == "gemini-api":
        fields["includeServerSideToolInvocations"] = BOOL
    return message("ai.ToolConfig", fields)


LEVELS = ("MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH")

_THINKING = message(
    "ai.ThinkingConfig",
    {
        "includeThoughts": BOOL,
        "thinkingBudget": INT32,
        "thinkingLevel": enum("ai.ThinkingLevel", *LEVELS, any_case=True),
    },
)


def _generation_config(door: Door) -> Message:
    fields: dict[str, Spec] = {
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
    }
    if door != "gemini-api":
        fields |= {"routingConfig": STRUCT, "modelSelectionConfig": STRUCT, "audioTimestamp": BOOL}
    else:
        fields["enableEnhancedCivicAnswers"] = BOOL
    return message("ai.GenerationConfig", fields)


_HARMS = ("HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT", "CIVIC_INTEGRITY")
_THRESHOLDS = ("OFF", "BLOCK_NONE", "BLOCK_ONLY_HIGH", "BLOCK_MEDIUM_AND_ABOVE")


def _safety(door: Door) -> Message:
    fields: dict[str, Spec] = {
        "category": enum("ai.HarmCategory", *(f"HARM_CATEGORY_{harm}" for harm in _HARMS)),
        "threshold": enum("ai.HarmBlockThreshold", *_THRESHOLDS, "BLOCK_LOW_AND_ABOVE"),
    }
    if door != "gemini-api":
        fields["method"] = enum("ai.HarmBlockMethod", "SEVERITY", "PROBABILITY")
    return message("ai.SafetySetting", fields)


def _content(door: Door) -> Message:
    return message("ai.Content", {"role": STRING, "parts": Repeated(_part(door))})


SERVICE_TIERS = ("flex", "standard", "priority")

_SERVICE_TIER = enum(
    "ai.ServiceTier",
    *SERVICE_TIERS,
    *(f"SERVICE_TIER_{tier.upper()}" for tier in ("unspecified", *SERVICE_TIERS)),
)


def _generate(door: Door, *, continues: bool = False) -> Message:
    fields: dict[str, Spec] = {
        "contents": Repeated(_content(door)),
        "systemInstruction": _content(door),
        "tools": Repeated(_TOOL),
        "toolConfig": _tool_config(door),
        "generationConfig": _generation_config(door),
        "safetySettings": Repeated(_safety(door)),
        "cachedContent": STRING,
    }
    if door != "gemini-api":
        fields["labels"] = MapOf(STRING)
    else:
        fields |= {"model": STRING, "serviceTier": _SERVICE_TIER, "store": BOOL}
    if continues:
        fields["continuationToken"] = STRING
    if door == "code-assist":
        fields["sessionId"] = STRING
    return message("ai.GenerateContentRequest", fields)


GENERATE = _generate("gemini-api", continues=True)
"""``models/*:generateContent`` of the Gemini API."""

COUNT = message(
    "ai.CountTokensRequest",
    {
        "model": STRING,
        "contents": Repeated(_content("gemini-api")),
        "generateContentRequest": GENERATE,
    },
)

_TASK_TYPE = enum(
    "ai.TaskType",
    "TASK_TYPE_UNSPECIFIED",
    "RETRIEVAL_QUERY",
    "RETRIEVAL_DOCUMENT",
    "SEMANTIC_SIMILARITY",
    "CLASSIFICATION",
    "CLUSTERING",
    "QUESTION_ANSWERING",
    "FACT_VERIFICATION",
    "CODE_RETRIEVAL_QUERY",
)

EMBED = message(
    "ai.EmbedContentRequest",
    {
        "model": STRING,
        "content": _content("gemini-api"),
        "taskType": _TASK_TYPE,
        "title": STRING,
        "outputDimensionality": INT32,
    },
)

BATCH_EMBED = message(
    "ai.BatchEmbedContentsRequest", {"model": STRING, "requests": Repeated(EMBED)}
)

# -- Vertex AI --------------------------------------------------------------------------------

VERTEX_GENERATE = _generate("vertex")
VERTEX_BETA_GENERATE = _generate("vertex", continues=True)
"""``v1beta1`` alone goes on with a long answer."""

VERTEX_COUNT = message(
    "cloud.aiplatform.v1.CountTokensRequest",
    {
        "model": STRING,
        "contents": Repeated(_content("vertex")),
        "systemInstruction": _content("vertex"),
        "tools": Repeated(_TOOL),
        "generationConfig": _generation_config("vertex"),
    },
)

VERTEX_EMBED = message(
    "cloud.aiplatform.v1.EmbedContentRequest",
    {
        "content": _content("vertex"),
        "taskType": _TASK_TYPE,
        "title": STRING,
        "outputDimensionality": INT32,
        "autoTruncate": BOOL,
    },
)

VERTEX_PREDICT = message(
    "cloud.aiplatform.v1.PredictRequest",
    {
        "instances": Repeated(
            message(
                "cloud.aiplatform.v1.TextEmbeddingInstance",
                {"content": STRING, "taskType": _TASK_TYPE, "title": STRING},
            )
        ),
        "parameters": message(
            "cloud.aiplatform.v1.TextEmbeddingParameters",
            {"outputDimensionality": INT32, "autoTruncate": BOOL},
        ),
    },
)

# -- Code Assist ------------------------------------------------------------------------------

ENVELOPE = message(
    "internal.cloud.code.GenerateContentRequest",
    {
        "model": STRING,
        "project": STRING,
        "userPromptId": STRING,
        "enabledCreditTypes": Repeated(STRING),
        "request": _generate("code-assist"),
    },
)

ENVELOPE_COUNT = message(
    "internal.cloud.code.CountTokensRequest",
    {
        "request": message(
            "internal.cloud.code.VertexCountTokensRequest",
            {"model": STRING, "contents": Repeated(_content("code-assist"))},
        )
    },
)

_PLATFORMS = ("DARWIN_AMD64", "DARWIN_ARM64", "LINUX_AMD64", "LINUX_ARM64", "WINDOWS_AMD64")
_IDES = ("IDE_UNSPECIFIED", "VSCODE", "INTELLIJ", "VSCODE_CLOUD_WORKSTATION", "GEMINI_CLI")
_PLUGINS = ("PLUGIN_UNSPECIFIED", "CLOUD_CODE", "GEMINI", "AIPLUGIN_INTELLIJ", "AIPLUGIN_STUDIO")

_METADATA = message(
    "internal.cloud.code.ClientMetadata",
    {
        "ideType": enum("internal.cloud.code.IdeType", *_IDES),
        "platform": enum("internal.cloud.code.Platform", "PLATFORM_UNSPECIFIED", *_PLATFORMS),
        "pluginType": enum("internal.cloud.code.PluginType", *_PLUGINS),
        "ideVersion": STRING,
        "pluginVersion": STRING,
        "updateChannel": STRING,
        "duetProject": STRING,
        "ideName": STRING,
    },
)

LOAD = message(
    "internal.cloud.code.LoadCodeAssistRequest",
    {
        "cloudaicompanionProject": STRING,
        "metadata": _METADATA,
        "mode": enum("internal.cloud.code.Mode", "FULL_ELIGIBILITY_CHECK", "HEALTH_CHECK"),
    },
)

ONBOARD = message(
    "internal.cloud.code.OnboardUserRequest",
    {"tierId": STRING, "cloudaicompanionProject": STRING, "metadata": _METADATA},
)

QUOTA = message(
    "internal.cloud.code.RetrieveUserQuotaRequest", {"project": STRING, "userAgent": STRING}
)

SETTING = message(
    "internal.cloud.code.GlobalUserSetting",
    {"cloudaicompanionProject": STRING, "freeTierDataCollectionOptin": BOOL},
)

EXPERIMENTS = message(
    "internal.cloud.code.ListExperimentsRequest", {"project": STRING, "metadata": _METADATA}
)

ADMIN_CONTROLS = message("internal.cloud.code.FetchAdminControlsRequest", {"project": STRING})

METRICS = message(
    "internal.cloud.code.RecordCodeAssistMetricsRequest",
    {"project": STRING, "metadata": _METADATA, "metrics": Repeated(STRUCT)},
)
