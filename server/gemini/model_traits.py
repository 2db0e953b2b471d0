"""What a model can do, by its id: one look into the catalogue in use."""

from server.gemini.catalogue import catalogue
from server.gemini.known import Traits


def traits(model_id: str) -> Traits:
    """The traits of a Gemini id (without ``models/``)."""
    return catalogue().model(model_id).traits
