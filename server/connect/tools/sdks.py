"""The official SDKs and curl: programs to copy, each of which a test runs."""

from collections.abc import Sequence

from server.connect.tool import Snippet, Target, Tool, exported


def _openai(target: Target) -> Sequence[Snippet]:
    python = (
        "from openai import OpenAI\n\n"
        f'client = OpenAI(base_url="{target.v1}", api_key="{target.key}")\n'
        "answer = client.chat.completions.create(\n"
        f'    model="{target.best}", messages=[{{"role": "user", "content": "Hello"}}]\n)\n'
        "print(answer.choices[0].message.content)"
    )
    node = (
        'import OpenAI from "openai";\n\n'
        f'const client = new OpenAI({{ baseURL: "{target.v1}", apiKey: "{target.key}" }});\n'
        "const answer = await client.chat.completions.create({\n"
        f'  model: "{target.best}", messages: [{{ role: "user", content: "Hello" }}],\n}});\n'
        "console.log(answer.choices[0].message.content);"
    )
    return [
        Snippet(
            "Environment",
            f"{exported('OPENAI_BASE_URL', target.v1)}\n{exported('OPENAI_API_KEY', target.key)}",
        ),
        Snippet("Python", python),
        Snippet("Node.js", node),
    ]


def _anthropic(target: Target) -> Sequence[Snippet]:
    python = (
        "from anthropic import Anthropic\n\n"
        f'client = Anthropic(base_url="{target.base_url}", api_key="{target.key}")\n'
        "answer = client.messages.create(\n"
        f'    model="{target.best}", max_tokens=1024,\n'
        '    messages=[{"role": "user", "content": "Hello"}],\n)\n'
        "print(answer.content[-1].text)"
    )
    node = (
        'import Anthropic from "@anthropic-ai/sdk";\n\n'
        f'const client = new Anthropic({{ baseURL: "{target.base_url}", '
        f'apiKey: "{target.key}" }});\n'
        "const answer = await client.messages.create({\n"
        f'  model: "{target.best}", max_tokens: 1024,\n'
        '  messages: [{ role: "user", content: "Hello" }],\n});\n'
        "console.log(answer.content.at(-1).text);"
    )
    return [Snippet("Python", python), Snippet("Node.js", node)]


def _genai(target: Target) -> Sequence[Snippet]:
    python = (
        "from google import genai\n\n"
        f'client = genai.Client(api_key="{target.key}", '
        f'http_options={{"base_url": "{target.base_url}"}})\n'
        f'answer = client.models.generate_content(model="{target.best}", contents="Hello")\n'
        "print(answer.text)"
    )
    node = (
        'import { GoogleGenAI } from "@google/genai";\n\n'
        f'const client = new GoogleGenAI({{ apiKey: "{target.key}", '
        f'httpOptions: {{ baseUrl: "{target.base_url}" }} }});\n'
        "const answer = await client.models.generateContent({\n"
        f'  model: "{target.best}", contents: "Hello",\n}});\n'
        "console.log(answer.text);"
    )
    return [Snippet("Python", python), Snippet("Node.js", node)]


def _curl(target: Target) -> Sequence[Snippet]:
    text = (
        f"curl {target.v1}/chat/completions \\\n"
        f"  -H 'authorization: Bearer {target.key}' -H 'content-type: application/json' \\\n"
        f'  -d \'{{"model":"{target.best}","messages":[{{"role":"user","content":"Hello"}}]}}\''
    )
    return [Snippet("In a terminal", text)]


SDKS = (
    Tool(
        id="openai",
        title="OpenAI SDKs",
        note="And anything OpenAI-compatible: LangChain, LlamaIndex and many more ask for exactly "
        "these two values.",
        snippets=_openai,
    ),
    Tool(
        id="anthropic",
        title="Anthropic SDKs",
        note="The address has no /v1: the SDK adds it.",
        snippets=_anthropic,
    ),
    Tool(
        id="google-genai",
        title="google-genai SDKs",
        note="Gemini's own API, passed through without loss.",
        snippets=_genai,
    ),
    Tool(id="curl", title="curl", snippets=_curl),
)
