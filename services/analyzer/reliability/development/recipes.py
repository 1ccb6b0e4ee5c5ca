"""Corruptions of the development part."""

from collections.abc import Iterator

from plumbline_contracts.analyzer import Detector

from services.analyzer.reliability.cases import Case, Texts

LOOP, CODE, LANGUAGE = Detector.INFINITE_LOOP, Detector.UNINTENDED_CODE, Detector.WRONG_LANGUAGE
LEAK, REPEATED, REFUSAL = Detector.PROMPT_LEAKAGE, Detector.INSTRUCTION_REPEATED, Detector.REFUSAL


def clean(source: Texts) -> Iterator[Case]:
    for answer in source.answers:
        for finish in ("stop", None):
            yield source.make("clean", answer["ask"], answer["text"], finish=finish)
        yield source.make("cut", answer["ask"], answer["text"][:200], finish="length")


def loops(source: Texts) -> Iterator[Case]:
    looping = source.own["loops"]
    for i, answer in enumerate(source.answers):
        ask, text = answer["ask"], answer["text"]
        exact = [looping[kind][i % 3] for kind in ("sentences", "phrases", "words", "lines")]
        for unit, finish in zip(exact, ("length", None, "stop", "length"), strict=True):
            joint = "\n" if unit[0] in "-1*" else " "
            looped = f"{text}{joint}{(unit + joint) * (12 + 80 // len(unit))}"
            yield source.make("loop: exact", ask, looped, LOOP, finish=finish)
        frame = looping["counters"][i % 3]
        counted = "\n".join(frame.format(n=n) for n in range(1, 16 + i))
        yield source.make("loop: counter", ask, f"{text}\n{counted}", LOOP, finish="length" if i % 2 else None)
        edits, pick = looping["edits"], source.chance.choice
        near = " ".join(edits["frame"].format(x=pick(edits["x"]), y=pick(edits["y"])) for _ in range(14))
        yield source.make("loop: edits", ask, f"{text}\n\n{near}", LOOP, finish="length")
        listed = ", ".join(pick(looping["pool"]) for _ in range(80))
        yield source.make("loop: items", ask, f"{text}\n\n{listed}", LOOP, finish="length")


def asked(source: Texts) -> Iterator[Case]:
    """What the instruction asks for is no error."""
    common, language = source.common, source.language
    for ask in common["asks_for_repetition"][language]:
        text = f"{source.own['loops']['sentences'][1]} " * 20
        yield source.make("repetition asked for", ask, text, finish="stop", not_applicable=[LOOP])
    for ask in common["asks_for_code"][language]:
        yield source.make("code asked for", ask, common["code"][0], finish="stop", not_applicable=[CODE])
    for ask in common["asks_for_other_language"][language]:
        text = next(iter(source.others.values()))[1]
        yield source.make("another language asked for", ask, text, finish="stop", not_applicable=[LANGUAGE])


def code(source: Texts) -> Iterator[Case]:
    for i, snippet in enumerate(source.common["code"]):
        answer = source.answers[i % len(source.answers)]
        ask, text = answer["ask"], answer["text"]
        yield source.make("fenced code", ask, f"{text}\n\n```\n{snippet}\n```", CODE, finish="stop")
        yield source.make("bare code", ask, snippet, CODE)
        line = text.split("\n")[0]
        yield source.make("bare code after a line", ask, f"{line}\n\n{snippet}", CODE, finish="stop")
    for text in source.common["markup"] + source.common["latex"]:
        yield source.make("markup or LaTeX document", source.answers[0]["ask"], text, CODE, finish="stop")


def language(source: Texts) -> Iterator[Case]:
    others = list(source.others.items())
    for i, answer in enumerate(source.answers):
        ask, text = answer["ask"], answer["text"]
        _, foreign = others[i % len(others)]
        other = foreign[(i + 1) % len(foreign)]
        yield source.make("another language throughout", ask, other, LANGUAGE)
        line = max(other.split("\n"), key=len)
        yield source.make("last line in another language", ask, f"{text}\n\n{line}", LANGUAGE, finish="stop")
        yield source.make("a switch within a line", ask, f"{text} {line}", LANGUAGE, finish="stop")


def leakage(source: Texts) -> Iterator[Case]:
    for leak in source.own["leaks"]:
        for answer in source.answers[:4]:
            yield source.make("prompt goes on", answer["ask"], answer["text"] + leak, LEAK, finish="length")
    for answer in source.answers[:3]:
        yield source.make("system text", answer["ask"], source.own["system"], LEAK, finish="stop")


def repeated(source: Texts) -> Iterator[Case]:
    for answer in source.answers:
        ask, text = answer["ask"], answer["text"]
        if len(ask.split()) > 5:
            yield source.make("instruction, then an answer", ask, f"{ask}\n{text}", REPEATED, finish="stop")
            yield source.make("instruction alone", ask, ask.upper(), REPEATED, finish="stop")


def refusals(source: Texts) -> Iterator[Case]:
    for text in source.own["refusals"]:
        yield source.make("refusal", source.answers[0]["ask"], text, REFUSAL, finish="stop")


def empty(source: Texts) -> Iterator[Case]:
    for text in ("", "\n", "..."):
        yield source.make("nothing", source.answers[0]["ask"], text, Detector.EMPTY, finish="stop")


RECIPES = (clean, loops, asked, code, language, leakage, repeated, refusals, empty)
