"""LibreTranslate's own client, and requests as its API takes them, against the service as a process."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import httpx
import pytest
from libretranslatepy import LibreTranslateAPI
from plumbline_contracts import translator as contract
from plumbline_contracts.libretranslate import TranslateRequest
from plumbline_kit.errors import ProblemError
from plumbline_translator.echo import EchoTranslator
from plumbline_translator.facade import LibreTranslateFacade

Serve = Callable[..., httpx.Client]
ENGLISH = "What colour is the dog? Name three animals that you know."
FRENCH = "Quelle est la couleur du chien ? Nomme trois animaux que tu connais."


@pytest.fixture
def service(packages: Path, serve: Serve) -> httpx.Client:
    return serve(PACKAGES_DIR=packages)


@pytest.fixture
def client(service: httpx.Client) -> LibreTranslateAPI:
    return LibreTranslateAPI(str(service.base_url))


def _own(service: httpx.Client, *texts: str) -> list[str]:
    request = {"source": "en", "target": "fr", "texts": [{"id": str(n), "text": text} for n, text in enumerate(texts)]}
    answer = service.post("/v1/translations", json=request).raise_for_status().json()
    return [one["text"] for one in answer["translations"]]


def _asked(service: httpx.Client, **fields: Any) -> httpx.Response:
    return service.post("/translate", json={"source": "en", "target": "fr"} | fields)


def test_its_client_gets_what_the_contract_s_own_operation_writes(
    service: httpx.Client, client: LibreTranslateAPI
) -> None:
    awkward = "name & three=animals\n- le chien é\n```\ncode + code\n```"
    assert client.translate(awkward, "en", "fr") == _own(service, awkward)[0] != awkward
    assert client.languages() == [
        {"code": "en", "name": "English", "targets": ["en", "fr"]},
        {"code": "fr", "name": "French", "targets": ["fr"]},
    ]
    for text, language in ((ENGLISH, "en"), (FRENCH, "fr")):
        (found,) = client.detect(text)
        assert found["language"] == language and 50 < found["confidence"] <= 100


def test_several_texts_are_one_request_and_stand_in_its_order(service: httpx.Client) -> None:
    answer = _asked(service, q=["three animals", "", "the dog"]).raise_for_status().json()
    assert answer == {"translatedText": _own(service, "three animals", "", "the dog")}


def test_the_language_of_each_text_is_told_where_none_is_given(service: httpx.Client) -> None:
    answer = _asked(service, q=[ENGLISH, FRENCH, "1 + 1"], source="auto").raise_for_status().json()
    assert answer["translatedText"] == [*_own(service, ENGLISH), FRENCH, "1 + 1"]
    assert [one["language"] for one in answer["detectedLanguage"]] == ["en", "fr", "fr"]
    assert answer["detectedLanguage"][2]["confidence"] == 0
    one = _asked(service, q=ENGLISH, source="auto").json()
    assert one == {"translatedText": _own(service, ENGLISH)[0], "detectedLanguage": answer["detectedLanguage"][0]}


def test_a_text_in_another_language_is_not_translated_as_if_it_were_in_one_of_them(service: httpx.Client) -> None:
    for text in ("这只狗是什么颜色的", "Welche Farbe hat der Hund? Nenne drei Tiere.", "Nomeie três animais."):
        refused = _asked(service, q=[ENGLISH, text], source="auto")
        assert refused.status_code == 400
        assert refused.json() == {"error": "Text 1 is in none of the languages that can be translated to 'fr': en."}
        assert service.post("/detect", json={"q": text}).json() == []


def test_a_form_is_read_like_json(service: httpx.Client) -> None:
    form = service.post("/translate", data={"q": "the dog", "source": "en", "target": "fr", "alternatives": "0"})
    assert form.json() == _asked(service, q="the dog").json()
    plain = service.post("/translate", content=json.dumps({"q": "the dog", "source": "en", "target": "fr"}))
    assert plain.status_code == 400  # it does not say that it is JSON


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"target": "de"}, "There is no package for en-de; there are: en-fr."),
        ({"q": []}, "body.q"),
        ({"target": None}, "body.target"),
        ({"format": "html"}, "body.format"),
        ({"alternatives": 2}, "body.alternatives"),
        ({"glossary": "x"}, "body.glossary"),
    ],
)
def test_what_is_wrong_is_told_as_its_clients_read_it(service: httpx.Client, fields: dict[str, Any], said: str) -> None:
    """Also a parameter that would have been dropped."""
    refused = _asked(service, **{"q": "the dog"} | fields)
    assert refused.status_code == 400
    assert list(refused.json()) == ["error"] and said in refused.json()["error"]


def test_its_client_is_told_too_and_the_contract_s_routes_tell_problems(
    service: httpx.Client, client: LibreTranslateAPI
) -> None:
    with pytest.raises(HTTPError) as refused:
        client.translate("the dog", "en", "de")
    assert json.loads(refused.value.read())["error"].startswith("There is no package for en-de")
    assert service.post("/v1/translations", json={}).json()["type"] == "urn:plumbline:problem:invalid-request"


class LosesDogs(EchoTranslator):
    async def translate(self, request: contract.TranslationRequest) -> contract.TranslationResponse:
        answer = await super().translate(request)
        lost = {"text": None, "cause": "It has no end."}
        some = [one.model_copy(update=lost) if one.text == "the dog" else one for one in answer.translations]
        return answer.model_copy(update={"translations": some})


def test_a_text_that_cannot_be_translated_fails_its_request() -> None:
    facade = LibreTranslateFacade(LosesDogs())
    with pytest.raises(ProblemError) as failed:
        asyncio.run(facade.translate_plainly(TranslateRequest(q=["the cat", "the dog"], source="en", target="fr")))
    assert (failed.value.status, failed.value.kind) == (422, "untranslatable")
    assert failed.value.detail == "Text 1 cannot be translated. It has no end."


def test_echo_and_a_token(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_TOKEN", "secret")
    service = serve(ENGINE="echo")
    refused = _asked(service, q="the dog", api_key="secret")
    assert refused.status_code == 401 and "error" in refused.json()
    service.headers["Authorization"] = "Bearer secret"
    assert _asked(service, q="the dog").json() == {"translatedText": "the dog"}
    assert [one["name"] for one in service.get("/languages").json()] == ["English", "Spanish", "French"]
