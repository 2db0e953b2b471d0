from openai.types import Model as SdkModel

from server.dialects.base import Params
from server.dialects.openai_models import encode_model, encode_models
from server.models import Aliases, describe


def test_a_model_has_what_the_sdk_reads_and_its_limits() -> None:
    body = encode_model(describe("gemini-2.5-pro"))
    model = SdkModel.model_validate(body, strict=True)
    assert (model.id, model.object, model.owned_by) == ("gemini-2.5-pro", "model", "google")
    assert model.created > 0
    assert (body["context_length"], body["max_output_tokens"]) == (1_048_576, 65_536)
    assert "alias_of" not in body


def test_an_alias_says_what_it_stands_for() -> None:
    entry = Aliases().find("gpt-4o", (describe("gemini-2.5-pro"),))
    body = encode_model(entry)
    assert (body["id"], body["alias_of"]) == ("gpt-4o", "gemini-2.5-pro")


def test_the_list_is_openais_envelope() -> None:
    models = [describe("gemini-2.5-pro"), describe("gemini-2.5-flash")]
    body = encode_models(models, Params())
    assert body["object"] == "list"
    assert [entry["id"] for entry in body["data"]] == ["gemini-2.5-pro", "gemini-2.5-flash"]
