"""The messages of the other doors, field by field, and those that embed.

Code Assist is shaped like Vertex AI; the Gemini API differs in a few fields. Sources: google-genai
3.4.0 ``types.py`` and its converters (which fields belong to which door), Gemini CLI 0.61
``code_assist/converter.js`` (the envelope).
"""

from typing import Literal

from server.demo import messages as base
from server.demo.proto import (
    BOOL,
    INT32,
    STRING,
    STRUCT,
    MapOf,
    Message,
    Repeated,
    Spec,
    enum,
    message,
)

Door = Literal["code-assist", "gemini-api", "vertex"]


def _changed(of: Message, *without: str, **more: Spec) -> Message:
    """A message of the Gemini API as the cloud has it."""
    kept = {name: spec for name, spec in of.fields.items() if name not in without}
    return Message(of.name, kept | more, of.oneof)


# -- the Gemini API ---------------------------------------------------------------------------

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
        "content": base.CONTENT,
        "taskType": _TASK_TYPE,
        "title": STRING,
        "outputDimensionality": INT32,
    },
)

BATCH_EMBED = message(
    "ai.BatchEmbedContentsRequest", {"model": STRING, "requests": Repeated(EMBED)}
)

# -- the cloud --------------------------------------------------------------------------------

_PART = _changed(base.PART, "toolCall", "toolResponse", "partMetadata")
CONTENT = _changed(base.CONTENT, parts=Repeated(_PART))
_CONFIG = _changed(
    base.GENERATION_CONFIG,
    "enableEnhancedCivicAnswers",
    routingConfig=STRUCT,
    modelSelectionConfig=STRUCT,
    audioTimestamp=BOOL,
)
_SAFETY = _changed(base.SAFETY, method=enum("ai.HarmBlockMethod", "SEVERITY", "PROBABILITY"))
_GENERATE: dict[str, Spec] = {
    "contents": Repeated(CONTENT),
    "systemInstruction": CONTENT,
    "tools": Repeated(base.TOOL),
    "toolConfig": _changed(base.TOOL_CONFIG, "includeServerSideToolInvocations"),
    "generationConfig": _CONFIG,
    "safetySettings": Repeated(_SAFETY),
    "cachedContent": STRING,
    "labels": MapOf(STRING),
}

# -- Vertex AI --------------------------------------------------------------------------------

VERTEX_GENERATE = message("ai.GenerateContentRequest", _GENERATE)
VERTEX_BETA_GENERATE = message(
    "ai.GenerateContentRequest", {**_GENERATE, "continuationToken": STRING}
)
"""``v1beta1`` alone goes on with a long answer."""

VERTEX_COUNT = message(
    "cloud.aiplatform.v1.CountTokensRequest",
    {
        "model": STRING,
        "contents": Repeated(CONTENT),
        "systemInstruction": CONTENT,
        "tools": Repeated(base.TOOL),
        "generationConfig": _CONFIG,
    },
)

VERTEX_EMBED = message(
    "cloud.aiplatform.v1.EmbedContentRequest",
    {
        "content": CONTENT,
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
        "request": message("ai.GenerateContentRequest", {**_GENERATE, "sessionId": STRING}),
    },
)

ENVELOPE_COUNT = message(
    "internal.cloud.code.CountTokensRequest",
    {
        "request": message(
            "internal.cloud.code.VertexCountTokensRequest",
            {"model": STRING, "contents": Repeated(CONTENT)},
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
