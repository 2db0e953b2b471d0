"""Copyable settings for the tools people use. Pure: an address, a key and models in, sheets out."""

import json
from dataclasses import dataclass

from quart import g, render_template

from webui.forms import Forms

ANY_KEY = "any"


@dataclass(frozen=True, slots=True)
class Snippet:
    """One thing to copy."""

    where: str
    """What to do with it."""
    text: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """All of it for one tool."""

    id: str
    title: str
    note: str
    snippets: tuple[Snippet, ...]


def _json(value: object) -> str:
    return json.dumps(value, indent=2)


def sheets(base_url: str, key: str, best: str, fast: str) -> tuple[Sheet, ...]:
    """A sheet a tool. ``best`` and ``fast``: Gemini ids behind those tiers."""
    return (
        _claude_code(base_url, key, best, fast),
        _codex(base_url, key, best),
        *_sdks(base_url, key, best),
        *_editors(base_url, key, best, fast),
        _gemini(base_url, key),
    )


def _claude_code(base_url: str, key: str, best: str, fast: str) -> Sheet:
    settings = {
        "env": {
            "ANTHROPIC_BASE_URL": base_url,
            "ANTHROPIC_AUTH_TOKEN": key,
            "ANTHROPIC_MODEL": best,
            "ANTHROPIC_DEFAULT_HAIKU_MODEL": fast,
        }
    }
    shell = "\n".join(f"export {name}={value}" for name, value in settings["env"].items())
    return Sheet(
        "claude-code",
        "Claude Code",
        "Speaks Anthropic's API; the address has no /v1.",
        (
            Snippet("In a terminal, for this session", f"{shell}\nclaude"),
            Snippet("For good, in ~/.claude/settings.json", _json(settings)),
        ),
    )


def _codex(base_url: str, key: str, best: str) -> Sheet:
    return Sheet(
        "codex",
        "Codex",
        "Speaks OpenAI's Responses API.",
        (
            Snippet(
                "Into ~/.codex/config.toml",
                f'model = "{best}"\nmodel_provider = "gemini-proxy"\n\n'
                '[model_providers.gemini-proxy]\nname = "Gemini API Proxy"\n'
                f'base_url = "{base_url}/v1"\nwire_api = "responses"\n'
                'env_key = "GEMINI_PROXY_KEY"',
            ),
            Snippet("In a terminal", f"export GEMINI_PROXY_KEY={key}\ncodex"),
        ),
    )


def _sdks(base_url: str, key: str, best: str) -> tuple[Sheet, ...]:
    openai = (
        "from openai import OpenAI\n\n"
        f'client = OpenAI(base_url="{base_url}/v1", api_key="{key}")\n'
        "answer = client.chat.completions.create(\n"
        f'    model="{best}", messages=[{{"role": "user", "content": "Hello"}}]\n)\n'
        "print(answer.choices[0].message.content)"
    )
    anthropic = (
        "from anthropic import Anthropic\n\n"
        f'client = Anthropic(base_url="{base_url}", api_key="{key}")\n'
        "answer = client.messages.create(\n"
        f'    model="{best}", max_tokens=1024,\n'
        '    messages=[{"role": "user", "content": "Hello"}],\n)\nprint(answer.content)'
    )
    curl = (
        f"curl {base_url}/v1/chat/completions \\\n"
        f"  -H 'authorization: Bearer {key}' -H 'content-type: application/json' \\\n"
        f'  -d \'{{"model":"{best}","messages":[{{"role":"user","content":"Hello"}}]}}\''
    )
    environment = f"export OPENAI_BASE_URL={base_url}/v1\nexport OPENAI_API_KEY={key}"
    return (
        Sheet(
            "openai",
            "OpenAI SDKs and anything OpenAI-compatible",
            "aider, LangChain, Open WebUI and many more ask for exactly these two values.",
            (Snippet("Environment", environment), Snippet("Python", openai), Snippet("curl", curl)),
        ),
        Sheet(
            "anthropic",
            "Anthropic SDKs",
            "The address has no /v1: the SDK adds it.",
            (Snippet("Python", anthropic),),
        ),
    )


def _editors(base_url: str, key: str, best: str, fast: str) -> tuple[Sheet, ...]:
    form = f"Base URL:  {base_url}/v1\nAPI key:   {key}\nModel ID:  {best}"
    continue_yaml = (
        "models:\n"
        f"  - name: Gemini (proxy)\n    provider: openai\n    model: {best}\n"
        f"    apiBase: {base_url}/v1\n    apiKey: {key}\n    roles: [chat, edit, apply]"
    )
    zed = {
        "language_models": {
            "openai_compatible": {
                "Gemini API Proxy": {
                    "api_url": f"{base_url}/v1",
                    "available_models": [
                        {"name": name, "display_name": name, "max_tokens": 1048576}
                        for name in (best, fast)
                    ],
                }
            }
        }
    }
    opencode = {
        "$schema": "https://opencode.ai/config.json",
        "provider": {
            "gemini-proxy": {
                "npm": "@ai-sdk/openai-compatible",
                "name": "Gemini API Proxy",
                "options": {"baseURL": f"{base_url}/v1", "apiKey": key},
                "models": {name: {"name": name} for name in (best, fast)},
            }
        },
    }
    return (
        Sheet(
            "cline",
            "Cline",
            "Settings, API provider: OpenAI Compatible. Roo Code and Kilo Code have the same form.",
            (Snippet("The fields", form),),
        ),
        Sheet(
            "continue", "Continue", "", (Snippet("Into ~/.continue/config.yaml", continue_yaml),)
        ),
        Sheet(
            "zed",
            "Zed",
            "Zed asks for the API key in its Agent panel settings.",
            (Snippet("Into settings.json", _json(zed)), Snippet("API key", key)),
        ),
        Sheet("opencode", "opencode", "", (Snippet("Into opencode.json", _json(opencode)),)),
        Sheet(
            "n8n",
            "n8n",
            "Credentials, OpenAI. From a container use host.docker.internal instead of 127.0.0.1.",
            (Snippet("The fields", f"API Key:   {key}\nBase URL:  {base_url}/v1"),),
        ),
    )


def _gemini(base_url: str, key: str) -> Sheet:
    text = f"export GOOGLE_GEMINI_BASE_URL={base_url}\nexport GEMINI_API_KEY={key}"
    return Sheet(
        "gemini",
        "Gemini CLI and google-genai SDKs",
        "Gemini's own API, passed through without loss.",
        (Snippet("Environment", text),),
    )


class ConnectPage:
    """``GET /connect``."""

    def __init__(self, forms: Forms) -> None:
        self._gateway = forms.gateway

    async def show(self) -> str:
        gateway = self._gateway
        closed = bool(gateway.settings.api_keys)
        aliases = gateway.doors.aliases
        key = "<one of your API_KEY>" if closed else ANY_KEY
        return await render_template(
            "connect.html",
            status=gateway.status(),
            base_url=gateway.base_url,
            closed=closed,
            api_key=gateway.access.generated_key if g.local else None,
            sheets=sheets(gateway.base_url, key, aliases.best, aliases.fast),
        )
