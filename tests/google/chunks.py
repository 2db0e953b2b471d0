"""The chunks of an answer, with what only tests have Google say."""

from server.demo import stream
from server.demo.errors import Json
from server.demo.tokens import Counted
from tests.google.model import Answer, Asked


def chunks(answer: Answer, asked: Asked, prompt: Counted, cached_tokens: int) -> list[Json]:
    """As ``stream.chunks``: refused prompts, odd ends, and usage that is another or none at all."""
    made = stream.chunks(answer, asked, prompt, cached_tokens)
    candidate = made[-1]["candidates"][0]
    if answer.block_reason is not None:
        made = [{**made[-1], "promptFeedback": {"blockReason": answer.block_reason}}]
        del made[0]["candidates"]
    elif answer.finish_message is not None:
        candidate["finishMessage"] = answer.finish_message
    return [_dressed(chunk, answer, asked) for chunk in made]


def _dressed(chunk: Json, answer: Answer, asked: Asked) -> Json:
    """Only the Gemini API numbers its candidates."""
    if asked.door != "gemini-api":
        for candidate in chunk.get("candidates", ()):
            del candidate["index"]
    if answer.usage == {}:
        del chunk["usageMetadata"]
    elif answer.usage is not None:
        chunk["usageMetadata"] |= answer.usage
    return chunk
