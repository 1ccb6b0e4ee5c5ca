"""Corruptions of the held-out part; none of them is in the development part."""

from collections.abc import Iterator

from plumbline_contracts.analyzer import Detector

from services.analyzer.reliability.cases import Case, Texts

LOOP, CODE, LANGUAGE = Detector.INFINITE_LOOP, Detector.UNINTENDED_CODE, Detector.WRONG_LANGUAGE
LEAK, REPEATED, REFUSAL = Detector.PROMPT_LEAKAGE, Detector.INSTRUCTION_REPEATED, Detector.REFUSAL


def clean(source: Texts) -> Iterator[Case]:
    for answer in source.answers:
        ask, text = answer["ask"], answer["text"]
        yield source.make("clean", ask, text, finish="stop")
        yield source.make("clean, finish unknown", ask, text)
        yield source.make("cut", ask, text[: int(len(text) * source.chance.uniform(0.4, 0.9))], finish="length")


def loops(source: Texts) -> Iterator[Case]:
    for i, answer in enumerate(source.answers):
        makers = [_sentence, _phrase, _paragraph, _word, _lines, _counter, _edits, _items, _pair]
        for maker in (makers[(2 * i + k) % len(makers)] for k in range(5)):
            text, finish = maker(source, answer["text"])
            yield source.make(f"loop: {maker.__name__[1:]}", answer["ask"], text, LOOP, finish=finish)


def _half(text: str) -> str:
    return text[: text.rfind(" ", 0, len(text) // 2)]


def _first(text: str) -> str:
    return text.split("\n\n")[0]


def _sentence(source: Texts, text: str) -> tuple[str, str | None]:
    unit = source.chance.choice(source.own["loops"]["sentences"]) + " "
    looped = unit * source.chance.randint(6, 40)
    return f"{_half(text)}. {looped[: -source.chance.randint(1, len(unit))]}", "length"


def _phrase(source: Texts, text: str) -> tuple[str, str | None]:
    phrase = source.chance.choice(source.own["loops"]["phrases"]) + " "
    return f"{_first(text)} {phrase * source.chance.randint(9, 60)}", None


def _paragraph(source: Texts, text: str) -> tuple[str, str | None]:
    return text + ("\n\n" + text.split("\n\n")[-1]) * source.chance.randint(3, 6), "length"


def _word(source: Texts, text: str) -> tuple[str, str | None]:
    word = source.chance.choice(source.own["loops"]["words"]) + " "
    return f"{_half(text)} {word * source.chance.randint(40, 200)}".rstrip(), source.chance.choice(["stop", "length"])


def _lines(source: Texts, text: str) -> tuple[str, str | None]:
    line = source.chance.choice(source.own["loops"]["lines"]) + "\n"
    return f"{_first(text)}\n{line * source.chance.randint(9, 30)}", "length"


def _counter(source: Texts, text: str) -> tuple[str, str | None]:
    frame = source.chance.choice(source.own["loops"]["counters"])
    first = source.chance.choice([1, 2, 95, 1998])
    lines = [frame.format(n=n) for n in range(first, first + source.chance.randint(9, 40))]
    looped = source.chance.choice(["\n", " "]).join(lines)
    return f"{_first(text)}\n\n{looped[: -source.chance.randint(1, 20)]}", "length"


def _edits(source: Texts, text: str) -> tuple[str, str | None]:
    edits = source.own["loops"]["edits"]
    pick = source.chance.choice
    lines = [
        edits["frame"].format(x=pick(edits["x"]), y=pick(edits["y"])) for _ in range(source.chance.randint(10, 30))
    ]
    return f"{_first(text)}\n\n{pick([' ', chr(10)]).join(lines)}", "length"


def _items(source: Texts, text: str) -> tuple[str, str | None]:
    pool = source.own["loops"]["pool"]
    items = [source.chance.choice(pool) for _ in range(source.chance.randint(60, 150))]
    joined = source.chance.choice([", ", "\n- "]).join(items)
    return f"{_first(text)}\n\n- {joined}", "length"


def _pair(source: Texts, text: str) -> tuple[str, str | None]:
    first, second = source.chance.sample(source.own["loops"]["sentences"], 2)
    return f"{_first(text)}\n\n" + f"{first}\n{second}\n\n" * source.chance.randint(5, 12), None


def asked_repetition(source: Texts) -> Iterator[Case]:
    for ask in source.common["asks_for_repetition"][source.language]:
        text = f"{source.own['loops']['sentences'][0]}\n" * 50
        yield source.make("repetition asked for", ask, text, finish="stop", not_applicable=[LOOP])


def code(source: Texts) -> Iterator[Case]:
    snippets = source.common["code"]
    for i, answer in enumerate(source.answers):
        ask, text = answer["ask"], answer["text"]
        head, _, tail = text.partition("\n\n")
        snippet = snippets[i % len(snippets)]
        fence = source.chance.choice(["```\n{}\n```", "```python\n{}\n```", "~~~\n{}\n~~~"]).format(snippet)
        yield source.make("code amid the answer", ask, f"{head}\n\n{fence}\n\n{tail}", CODE, finish="stop")
        snippet = snippets[(i + 5) % len(snippets)]
        yield source.make("code after an opening", ask, f"{head}\n\n{snippet}", CODE, finish="length")
        yield source.make("code in place of an answer", ask, snippets[(i + 9) % len(snippets)], CODE)
    for i, markup in enumerate(source.common["markup"] + source.common["latex"]):
        yield source.make("markup or LaTeX document", source.answers[i]["ask"], markup, CODE, finish="stop")


def asked_code(source: Texts) -> Iterator[Case]:
    for i, ask in enumerate(source.common["asks_for_code"][source.language]):
        text = f"```\n{source.common['code'][i]}\n```"
        yield source.make("code asked for", ask, text, finish="stop", not_applicable=[CODE])


def language(source: Texts) -> Iterator[Case]:
    others = list(source.others.items())
    for i, answer in enumerate(source.answers):
        ask, text = answer["ask"], answer["text"]
        _, foreign = others[i % len(others)]
        other = foreign[i % len(foreign)]
        yield source.make("another language throughout", ask, other, LANGUAGE, finish="stop")
        part = source.chance.choice([one for one in other.split("\n\n") if len(one) > 30])
        head, _, tail = text.partition("\n\n")
        yield source.make(
            "a paragraph in another language", ask, f"{head}\n\n{part}\n\n{tail}", LANGUAGE, finish="stop"
        )
        yield source.make("a switch within a line", ask, f"{_first(text)} {other.split(chr(10))[0]}", LANGUAGE)
    for ask in source.common["asks_for_other_language"][source.language]:
        text = next(iter(source.others.values()))[0]
        yield source.make("another language asked for", ask, text, finish="stop", not_applicable=[LANGUAGE])


def leakage(source: Texts) -> Iterator[Case]:
    for i, leak in enumerate(source.own["leaks"]):
        for k in range(3):
            answer = source.answers[(i + 4 * k) % len(source.answers)]
            text = answer["text"] if k else _first(answer["text"])
            yield source.make("prompt goes on", answer["ask"], text + leak, LEAK, finish="length" if k else None)
    for answer in source.answers[:6]:
        words = source.own["system"].split(" ")
        copied = " ".join(words[source.chance.randint(0, 5) :])
        yield source.make("system text", answer["ask"], f"{answer['text']}\n\n{copied}", LEAK, finish="stop")


def repeated(source: Texts) -> Iterator[Case]:
    long_enough = [answer for answer in source.answers if len(answer["ask"].split()) > 5]
    for answer in long_enough:
        ask, text = answer["ask"], answer["text"]
        yield source.make("instruction, then an answer", ask, f"{ask}\n\n{text}", REPEATED, finish="stop")
        yield source.make("instruction alone", ask, f"\n{ask.rstrip('.?')}", REPEATED, finish="stop")
        words = ask.rstrip(" .?").lower().split()
        del words[len(words) // 2]
        if len(words) > 8:
            yield source.make("instruction with a word less", ask, f"{' '.join(words)}: {text}", REPEATED)
        yield source.make("instruction at the end", ask, f"{text}\n\n{ask}", REPEATED, finish="length")


def refusals(source: Texts) -> Iterator[Case]:
    for i, text in enumerate(source.own["refusals"]):
        answer = source.answers[i % len(source.answers)]
        yield source.make("refusal", answer["ask"], text, REFUSAL, finish="stop")
        curly = text.replace("'", "\u2019")
        yield source.make("refusal, then other help", answer["ask"], f"{curly}\n\n{answer['text']}", REFUSAL)


def empty(source: Texts) -> Iterator[Case]:
    for i, text in enumerate(["", "  ", "\n\n\n", "…", "```\n```", "- \n- ", "¿?", "\u200b"]):
        yield source.make("nothing", source.answers[i]["ask"], text, Detector.EMPTY, finish="stop")


RECIPES = (
    clean, loops, asked_repetition, code, asked_code, language, leakage, repeated, refusals, empty
)  # fmt: skip
