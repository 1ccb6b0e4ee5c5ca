"""One small request per service that any implementation can answer, for checks that hold whatever the service does."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Specimen:
    """`status` is that of the right answer. `items` names the list in the body that the contract limits."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    status: int = 200
    items: str | None = None
    text: str | None = None

    def send(self, client: httpx.Client, body: Any = None) -> httpx.Response:
        return client.request(self.method, self.path, json=self.body if body is None else body)


def _listed(client: httpx.Client, path: str, name: str) -> Any:
    return client.get(path).raise_for_status().json()[name]


def judge(client: httpx.Client, _: str | None) -> Specimen:
    rubric = _listed(client, "/v1/rubrics", "rubrics")[0]["name"]
    asked = {"instruction": "Name three animals.", "response": "The dog, the cat and the cow.", "language": "en"}
    body = {"rubric": rubric, "items": [{"id": "7", **asked}]}
    return Specimen("POST", "/v1/judgments", body, items="items", text="response")


def translator(client: httpx.Client, _: str | None) -> Specimen:
    """One without packages, such as a dry run, offers no pair and is asked for en -> fr."""
    pairs = _listed(client, "/v1/languages", "pairs") or [{"source": "en", "target": "fr"}]
    body = {"source": pairs[0]["source"], "target": pairs[0]["target"], "texts": [{"id": "7", "text": "The dog."}]}
    return Specimen("POST", "/v1/translations", body, items="texts", text="text")


def generator(client: httpx.Client, model: str | None) -> Specimen:
    models = _listed(client, "/v1/models", "models")
    name = model or (models[0]["name"] if models else "no-model-given")
    body = {"model": name, "prompts": [{"id": "7", "text": "The dog is"}], "decoding": {"max_new_tokens": 2}}
    return Specimen("POST", "/v1/generations", body, 200 if model or models else 422, items="prompts", text="text")


def analyzer(client: httpx.Client, _: str | None) -> Specimen:
    item = {"id": "7", "instruction": "Name three animals.", "response": "The dog.", "language": "en"}
    return Specimen("POST", "/v1/detections", {"items": [item]}, items="items", text="response")


def trainer(client: httpx.Client, _: str | None) -> Specimen:
    return Specimen("GET", "/v1/trainings/conformance-no-such-training", status=404)


def coordinator(client: httpx.Client, _: str | None) -> Specimen:
    return Specimen("GET", "/v1/experiments")


SPECIMENS: dict[str, Callable[[httpx.Client, str | None], Specimen]] = {
    one.__name__: one for one in (judge, translator, generator, analyzer, trainer, coordinator)
}
