"""How weights are named in requests, and what a saved adapter says of the model that it goes over."""

import hashlib
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from .common import Response, Sha256

ADAPTER_BASE = "base.json"


def _no_path(value: Any) -> Any:
    """Whoever may ask a service may not have it read any folder of its machine."""
    if isinstance(value, str) and (value.startswith(("/", ".", "~", "file:")) or "\\" in value):
        raise ValueError(
            "a model is not named by a path; put or link its folder into the service's models folder"
            " (GENERATOR_MODELS_DIR, TRAINER_MODELS_DIR) and give its name there, NAME or ORG/NAME"
        )
    return value


ModelReference = Annotated[
    str,
    Field(
        pattern=r"^(artifact:[A-Za-z0-9][A-Za-z0-9._-]{0,199}"
        r"|[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?(@[A-Za-z0-9._-]{1,64})?)$",
        description="`artifact:ID` (weights that the trainer saved), the name of a model folder of the service,"
        " or a hub id with an optional @revision.",
        examples=["tinyworld-base", "utter-project/EuroLLM-1.7B", "artifact:dpo-zero-shot-5f0c1a"],
    ),
    BeforeValidator(_no_path),
]


class AdapterBase(Response):
    """`base.json` in an adapter's folder: the model it was trained over, as the request named it, and the digest."""

    model: str
    sha256: Sha256


def adapted_sha256(adapter: str, base: str) -> str:
    """The one digest of an adapter and its base, from those of both: of the lines that `sha256sum` would print."""
    return hashlib.sha256(f"{adapter}  adapter\n{base}  base\n".encode()).hexdigest()
