"""What no schema can say about an analyzer."""

from typing import Any

TEXTS = {"b": "Le chien, le chat et la vache.", "a": "", "ä ☃": "le chien " * 60}
DETECTORS = [
    "infinite_loop",
    "unintended_code",
    "wrong_language",
    "prompt_leakage",
    "empty",
    "truncated",
    "instruction_repeated",
    "refusal",
]


def detection_request(**more: Any) -> dict[str, Any]:
    asked = {"instruction": "Nomme trois animaux.", "language": "fr", "finish_reason": "length"}
    return {"items": [{"id": id, "response": text, **asked} for id, text in TEXTS.items()], **more}


def analysis_request(**more: Any) -> dict[str, Any]:
    """Two arms on six items in one language; one score is missing."""
    arms = [{"name": name, "model": "m", "weights": "base", "prompting": name} for name in ("zero-shot", "urial")]
    observations = [
        {
            "item": str(item),
            "arm": arm["name"],
            "language": "fr",
            "instruction": "Nomme trois animaux.",
            "response": "Le chien, le chat et la vache.",
            "scores": [score(3 + item % 3 - (arm["name"] == "zero-shot"), missing=item == 5)],
        }
        for arm in arms
        for item in range(6)
    ]
    return {
        "experiment": "conformance",
        "title": "Conformance",
        "arms": arms,
        "languages": ["fr"],
        "judges": [{"name": "rules", "implementation": "rules", "model": None, "description": "rules"}],
        "settings": {"resamples": 100},
        "observations": observations,
        **more,
    }


def score(value: int, missing: bool) -> dict[str, Any]:
    aspect = {"judge": "rules", "rubric": "rules", "aspect": "language"}
    return aspect | ({"score": None, "missing": "not_applicable"} if missing else {"score": value, "missing": None})


def test_ids_are_echoed_in_request_order(client: Any) -> None:
    """One entry per item, under its id, in the order of the request."""
    answer = client.ok("POST", "/v1/detections", detection_request())
    assert [item["id"] for item in answer["items"]] == list(TEXTS)


def test_every_detector_speaks_once_about_every_item(client: Any) -> None:
    """Every detector says something about every item, if only that it cannot tell."""
    for item in client.ok("POST", "/v1/detections", detection_request())["items"]:
        assert [detection["detector"] for detection in item["detections"]] == DETECTORS


def test_an_offset_lies_in_the_text(client: Any) -> None:
    """`start` and `end` are both given or both null, and lie in the text."""
    for item in client.ok("POST", "/v1/detections", detection_request())["items"]:
        for detection in item["detections"]:
            start, end = detection["start"], detection["end"]
            assert (start is None) == (end is None)
            assert start is None or 0 <= start <= end <= len(TEXTS[item["id"]])


def test_what_is_found_has_a_severity_and_a_loop_its_measures(client: Any) -> None:
    for item in client.ok("POST", "/v1/detections", detection_request())["items"]:
        for detection in item["detections"]:
            assert (detection["severity"] is not None) == (detection["finding"] == "found")
            is_loop = detection["detector"] == "infinite_loop" and detection["finding"] == "found"
            assert (detection["repetition"] is not None) == is_loop


def test_detecting_and_analyzing_are_pure(client: Any) -> None:
    """The same request has the same answer."""
    for path, body in (("detections", detection_request()), ("analyses", analysis_request())):
        first, second = (client.ok("POST", f"/v1/{path}", body) for _ in range(2))
        assert first == second


def test_a_missing_score_is_counted_by_its_cause_and_bounded(client: Any) -> None:
    """A missing score is counted by its cause and widens the bounds of the mean; it is never a number."""
    means = client.ok("POST", "/v1/analyses", analysis_request())["means"]
    for mean in (mean for mean in means if mean["aspect"] == "language"):
        assert (mean["n"], mean["missing"]) == (5, {"not_applicable": 1})
        assert mean["worst"] < mean["mean"] < mean["best"]


def test_an_unknown_field_is_refused(client: Any) -> None:
    """A misspelt option fails loudly."""
    client.problem(422, "POST", "/v1/detections", detection_request(detector="empty"))
    client.problem(422, "POST", "/v1/analyses", analysis_request(setings={}))
