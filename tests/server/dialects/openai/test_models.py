from openai.types import Model as SdkModel

from server.dialects.base import Params
from server.dialects.openai.models import encode_model, encode_models
from server.gemini.models import Aliases, describe


def test_a_model_has_what_the_sdk_reads_and_its_limits() -> None:
    body = encode_model(describe("gemini-2.5-pro"))
    model = SdkModel.model_validate(body, strict=True)
    assert (model.id, model.object, model.owned_by) == ("gemini-2.5-pro", "model", "google")
    assert model.created > 0
    assert (body["context_length"], body["max_output_tokens"]) == (1_048_576, 65_536)
    assert "alias_of" not in body


def test_an_alias_says_what_it_stands_for() -> None:
    entry = Aliases().find("gpt-4o", (describe("gemini-3.8-flash"),))
    body = encode_model(entry)
    assert (body["id"], body["alias_of"]) == ("gpt-4o", "gemini-3.8-flash")


def test_what_neither_chats_nor_embeds_is_not_listed() -> None:
    ids = ("gemini-3.8-flash", "gemini-3-pro-image", "gemini-3.8-flash-tts", "gemini-3.8-live")
    others = ("gemini-robotics-er-2", "deep-research-pro-preview-10-2026", "gemini-embedding-001")
    body = encode_models([describe(model_id) for model_id in (*ids, *others)], Params())
    assert [entry["id"] for entry in body["data"]] == ["gemini-3.8-flash", "gemini-embedding-001"]


def test_the_list_is_openais_envelope() -> None:
    models = [describe("gemini-2.5-pro"), describe("gemini-2.5-flash")]
    body = encode_models(models, Params())
    assert body["object"] == "list"
    assert [entry["id"] for entry in body["data"]] == ["gemini-2.5-pro", "gemini-2.5-flash"]
