"""What no schema can say about a translator."""

from typing import Any

TEXTS = {"b": "Name three animals.", "a": "", "ä ☃": "The dog is black.\n\nThe cat is {colour}."}


def request(source: str, target: str, **more: Any) -> dict[str, Any]:
    texts = [{"id": id, "text": text} for id, text in TEXTS.items()]
    return {"source": source, "target": target, "texts": texts, **more}


def pair(client: Any) -> tuple[str, str]:
    """A pair that it offers; one without packages, such as a dry run, offers none and is asked for en -> fr."""
    pairs = client.ok("GET", "/v1/languages")["pairs"]
    return (pairs[0]["source"], pairs[0]["target"]) if pairs else ("en", "fr")


def test_ids_are_echoed_in_request_order(client: Any) -> None:
    """One translation per text, under its id, in the order of the request."""
    answer = client.ok("POST", "/v1/translations", request(*pair(client)))
    assert [translation["id"] for translation in answer["translations"]] == list(TEXTS)


def test_a_text_is_translated_or_has_a_cause(client: Any) -> None:
    """What could not be translated has a cause and no text."""
    answer = client.ok("POST", "/v1/translations", request(*pair(client)))
    for translation in answer["translations"]:
        assert (translation["text"] is None) == (translation["cause"] is not None), translation


def test_what_is_returned_unchanged_is_flagged(client: Any) -> None:
    """A text that comes back as it went is flagged `untranslated`."""
    answer = client.ok("POST", "/v1/translations", request(*pair(client)))
    for translation in answer["translations"]:
        if translation["text"] and translation["text"] == TEXTS[translation["id"]]:
            assert "untranslated" in translation["flags"], translation


def test_an_unknown_pair_is_never_passed_off_as_translated(client: Any) -> None:
    """A problem that lists the pairs; or, from a dry run that takes any pair, texts flagged as what they are."""
    response = client.post("/v1/translations", json=request("qaa", "qab"))
    if response.is_success:
        assert all(translation["flags"] or translation["cause"] for translation in response.json()["translations"])
        return
    problem = client.problem(422, "POST", "/v1/translations", request("qaa", "qab"))
    assert problem["type"].endswith("unknown-language-pair")
    told = problem["detail"] + str(problem["errors"])
    pairs = client.ok("GET", "/v1/languages")["pairs"]
    assert all(pair["source"] in told and pair["target"] in told for pair in pairs)


def test_an_unknown_field_is_refused(client: Any) -> None:
    """A misspelt option fails loudly."""
    client.problem(422, "POST", "/v1/translations", request("en", "fr", langauge="fr"))


def test_the_same_request_has_the_same_answer(client: Any) -> None:
    """Translating is repeatable: the same request, the same texts."""
    first, second = (client.ok("POST", "/v1/translations", request(*pair(client))) for _ in range(2))
    assert first == second
