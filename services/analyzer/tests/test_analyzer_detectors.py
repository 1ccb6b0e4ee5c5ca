import pytest
from plumbline_analyzer import detectors
from plumbline_analyzer.detectors import empty, loop, refusal, repeated, truncated
from plumbline_contracts.analyzer import DetectionItem, Detector, Finding, Severity


@pytest.mark.parametrize("response", ["", " \n\t", "...", "```\n```", "¿?", "😀"])
def test_empty(item, response) -> None:
    verdict = empty.detect(item(response))
    assert (verdict.finding, verdict.start, verdict.end) == (Finding.FOUND, 0, len(response))


@pytest.mark.parametrize("response", ["a", "7", "é", "- ñ", "你", "½"])
def test_not_empty(item, response) -> None:
    assert empty.detect(item(response)).finding == Finding.ABSENT


@pytest.mark.parametrize(
    ("finish_reason", "finding"),
    [
        ("length", Finding.FOUND),
        ("stop", Finding.ABSENT),
        ("eos_token", Finding.ABSENT),
        (None, Finding.UNDECIDED),
        ("loop", Finding.UNDECIDED),
    ],
)
def test_truncated(item, finish_reason, finding) -> None:
    response = "word " * 100
    verdict = truncated.detect(item(response, finish_reason=finish_reason))
    assert verdict.finding == finding
    if finding == Finding.FOUND:
        assert (verdict.start, verdict.end) == (380, 500)


def test_a_mark_of_truncation_is_the_limit_and_no_part_of_a_loop(item) -> None:
    response = "Here is the number you asked for: 1" + "0" * 500 + " ... (truncated)"
    assert truncated.detect(item(response)).finding == Finding.FOUND
    assert truncated.detect(item(response, finish_reason="stop")).finding == Finding.ABSENT
    verdict = loop.detect(item(response))
    assert (verdict.finding, verdict.kind, verdict.end) == (Finding.FOUND, "exact", response.index(" ... ("))


def test_one_answer_per_detector_in_the_contract_s_order(item, identifier) -> None:
    registry = detectors.registry(identifier)
    assert list(registry) == list(Detector)
    answer = detectors.detect(item("Hello."), registry)
    assert [detection.detector for detection in answer.detections] == list(Detector)


SIZE = 100_000
ADVERSARIAL = {
    "one letter": "a" * SIZE,
    "fibonacci": "",
    "line breaks": "\n" * SIZE,
    "blanks": " " * SIZE,
    "fences": "```\n" * (SIZE // 4),
    "python fences": "```python\n" * (SIZE // 10),
    "brackets": "(" * SIZE,
    "braces": "{" * SIZE,
    "headings": "# " * (SIZE // 2),
    "addresses": "a@" * (SIZE // 2),
    "long address": "https://" + "a" * SIZE,
    "tags": "<div " * (SIZE // 5),
    "dots": "a." * (SIZE // 2),
    "statements": "x = foo(1);\n" * (SIZE // 12),
    "long query": "SELECT " + "a " * (SIZE // 2),
    "emoji": "😀" * SIZE,
    "lines": "le chat mange la souris\n" * (SIZE // 24),
    "near loop": "a" * (SIZE // 2) + "b" + "a" * (SIZE // 2),
    "surrogate-free controls": "\x01\x02\x03" * (SIZE // 3),
}


@pytest.mark.parametrize("name", ADVERSARIAL)
@pytest.mark.parametrize("role", ["response", "instruction", "prefix"])
def test_long_awkward_texts_come_to_an_end(identifier, name, role) -> None:
    """No clock: anything worse than near-linear does not finish 100,000 characters in the time a test may take."""
    text = ADVERSARIAL[name] or _fibonacci_word()
    texts = {"response": "A usual response.", "instruction": "A usual instruction.", role: text}
    item = DetectionItem(id="1", language="en", finish_reason="length", **texts)
    answer = detectors.detect(item, detectors.registry(identifier))
    for detection in answer.detections:
        if detection.start is not None:
            assert 0 <= detection.start <= detection.end <= len(item.response)
        assert len(detection.evidence or "") <= 120


def _fibonacci_word() -> str:
    """The string that is hardest for algorithms on repetitions: full of them at every scale."""
    shorter, longer = "b", "a"
    while len(longer) < SIZE:
        shorter, longer = longer, longer + shorter
    return longer[:SIZE]


def test_the_same_item_gets_the_same_answer(item, identifier) -> None:
    registry = detectors.registry(identifier)
    one = item("Bonjour à tous, je suis là. " * 9, language="en", finish_reason="length")
    assert detectors.detect(one, registry) == detectors.detect(one, registry)


@pytest.mark.parametrize(
    ("response", "language"),
    [
        ("I'm sorry, but I can't help with that.", "en"),
        ("I cannot provide instructions for picking a lock.", "en"),
        ("Je suis désolé, mais je ne peux pas vous aider à faire cela.", "fr"),
        ("Je refuse d’écrire un tel texte.", "fr"),
        ("Lo siento, pero no puedo ayudarte con eso.", "es"),
        ("No puedo proporcionar esa información.", "es"),
    ],
)
def test_refusals(item, response, language) -> None:
    verdict = refusal.detect(item(response, language=language))
    assert (verdict.finding, verdict.severity) == (Finding.FOUND, Severity.MAJOR)
    assert response[verdict.start : verdict.end]


@pytest.mark.parametrize(
    "response",
    [
        "I'm sorry to hear that. I can't help but think of spring.",
        "Je ne peux pas attendre !",
        "No puedo creer que ya sea verano.",
        "Anna said no." + " She went on." * 40 + " I'm sorry, but I can't help with that.",
    ],
)
def test_what_only_sounds_like_a_refusal(item, response) -> None:
    assert refusal.detect(item(response)).finding == Finding.ABSENT


QUESTION = "Why do leaves change their colour in autumn?"


@pytest.mark.parametrize(
    ("response", "finding", "severity"),
    [
        (QUESTION, Finding.FOUND, Severity.CRITICAL),
        (QUESTION.upper() + "\n\nBecause the green of the leaves goes first, and yellow stays.", "found", "minor"),
        ("Why do the leaves change their colour in autumn", Finding.FOUND, Severity.CRITICAL),
        ("Leaves change their colour because the green goes first.", Finding.ABSENT, None),
        ("", Finding.ABSENT, None),
    ],
)
def test_the_instruction_again(item, response, finding, severity) -> None:
    verdict = repeated.detect(item(response, QUESTION))
    assert (verdict.finding, verdict.severity) == (finding, severity)


@pytest.mark.parametrize(
    "instruction", ["Name a river.", "Correct this: he go home and he sleep.", "Répète après moi : un, deux, trois"]
)
def test_a_repetition_that_says_nothing(item, instruction) -> None:
    assert repeated.detect(item(instruction, instruction)).finding == Finding.NOT_APPLICABLE
