"""Tools whose settings are typed into a form, kept in a keychain or a database: sheets to copy.

Sources: docs.roocode.com *OpenAI Compatible*; jetbrains.com AI Assistant 2026.1
*Providers & API keys*; n8n ``OpenAiApi.credentials.ts``; docs.openwebui.com *OpenAI-compatible*;
cursor.com (requests go through Cursor's own servers)."""

from collections.abc import Sequence

from server.connect.tool import Snippet, Target, Tool
from server.connect.tools.cline import fields


def _form(target: Target) -> Sequence[Snippet]:
    text = f"Base URL:  {target.v1}\nAPI key:   {target.key}\nModel ID:  {target.best}"
    return [Snippet("The fields", text)]


def in_container(target: Target) -> str:
    """The address as a container on the same computer sees it."""
    return target.v1.replace("127.0.0.1", "host.docker.internal")


def _n8n(target: Target) -> Sequence[Snippet]:
    return [
        Snippet(
            'New credential, "OpenAI"',
            f"API Key:   {target.key}\nBase URL:  {target.v1}\n"
            f"Base URL from a container:  {in_container(target)}",
        ),
        Snippet(
            'Or "Anthropic"',
            f"API Key:   {target.key}\nBase URL:  {target.base_url}",
        ),
    ]


def _open_webui(target: Target) -> Sequence[Snippet]:
    return [
        Snippet(
            "Admin panel, Settings, Connections, OpenAI API",
            f"URL:      {target.v1}\nURL from a container:  {in_container(target)}\n"
            f"API key:  {target.key}",
        ),
        Snippet(
            "Or when its container is made",
            "docker run -d -p 3000:8080 --add-host host.docker.internal:host-gateway \\\n"
            f"  -e OPENAI_API_BASE_URL={in_container(target)} \\\n"
            f"  -e OPENAI_API_KEY={target.key} ghcr.io/open-webui/open-webui:main",
        ),
    ]


_KEY_FROM_CONTAINER = (
    "A container is another machine to this server: it listens there with HOST=0.0.0.0 only, and "
    "wants the API key (--show-key)."
)

SHEETS = (
    Tool(
        id="roo",
        title="Roo Code",
        note='Settings, Providers, API provider: "OpenAI Compatible" (not "OpenAI"). It keeps '
        "them inside the editor, where no other program should write. Its makers ended it in May "
        "2026: installed copies go on, and Zoo Code, Cline and Kilo Code carry it further.",
        snippets=lambda target: [fields(target)],
    ),
    Tool(
        id="jetbrains",
        title="JetBrains AI Assistant",
        note='Settings, Tools, AI Assistant, Providers & API keys: provider "OpenAI-compatible"; '
        'then "Test Connection", and switch tool calling on.',
        snippets=_form,
    ),
    Tool(
        id="n8n",
        title="n8n",
        note="The chat model node works with and without its switch Use Responses API. "
        + _KEY_FROM_CONTAINER,
        commands=("n8n",),
        snippets=_n8n,
    ),
    Tool(
        id="open-webui",
        title="Open WebUI",
        note=_KEY_FROM_CONTAINER,
        commands=("open-webui",),
        snippets=_open_webui,
    ),
    Tool(
        id="cursor",
        title="Cursor",
        note="Cursor cannot reach this server. It sends every request from Cursor's own machines, "
        "which see neither localhost nor your network; only an address open to the whole internet "
        "would work, and opening one is not a thing to do for this. Use one of the other tools, "
        "inside Cursor too: the Claude Code, Codex, Cline or Continue extension asks from your "
        "computer.",
        commands=("cursor",),
    ),
)
