"""Prompt leakage: the response goes on with the prompt: its headings, a new query, the system text."""

import re
from functools import lru_cache

from plumbline_contracts.analyzer import DetectionItem, Severity

from .intent import asks_for_dialogue
from .verdict import ABSENT, Verdict, found

# A stock answer, such as the opening of a demonstration's refusal, is shorter, and stays an answer.
_OVERLAP_WORDS = 13
_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")
# URIAL's headings, also as our French and Spanish prompts write them, and Alpaca's. A heading like `## Answer` is
# ordinary Markdown in a chat response, so the ambiguous ones need the single `#` or the colon of the template.
_HEADING = re.compile(
    r"^(?:#{1,3} ?(?:Query|User|Requête|Utilisateur|Consulta|Usuario)[ \t]*:?"
    r"|# ?(?:Answer|Assistant|Instruction|Réponse|Respuesta|Asistente|Instrucción)[ \t]*:?"
    r"|### ?(?:Instruction|Response|Human|Assistant|Input):)[ \t]*$",
    re.MULTILINE,
)
_TEMPLATE_TOKEN = re.compile(
    r"<\|(?:im_start|im_end|im_sep|endoftext|begin_of_text|end_of_text|start_header_id|end_header_id|eot_id"
    r"|system|user|assistant|end|END_OF_TURN_TOKEN|START_OF_TURN_TOKEN)\|>"
    r"|\[/?INST\]|<</?SYS>>|</s>|<(?:start|end)_of_turn>|<pad>|<unk>"
)
# A turn of somebody else and then one of the model's: a query that the model has invented.
_TURNS = re.compile(
    r"^[ \t*]{0,4}(?:(?:User|Human|Question|Query|Utilisateur|Humain|Requête|Usuario|Humano|Pregunta|Consulta|[QP])"
    r" ?:)(?:[^\n]*\S[^\n]*\n\s*)[ \t*]{0,4}"
    r"(?:Assistant|AI|Answer|Response|Bot|Réponse|IA|Asistente|Respuesta|[AR]) ?:",
    re.MULTILINE,
)


def detect(item: DetectionItem) -> Verdict:
    for kind, pattern in (("template_token", _TEMPLATE_TOKEN), ("heading", _HEADING)):
        for match in pattern.finditer(item.response):
            if match[0].strip() not in item.instruction:
                return found(match[0], *match.span(), Severity.MAJOR, kind)
    turns = _TURNS.search(item.response)
    if turns and not asks_for_dialogue(item.instruction) and not _TURNS.search(item.instruction):
        return found(turns[0], turns.start(), len(item.response), Severity.MAJOR, "new_query")
    overlap = _longest_overlap(item)
    if overlap is None:
        return ABSENT
    start, end = overlap
    return found(f"also in the prompt: {item.response[start:end]}", start, end, Severity.MAJOR, "prompt_text")


def _longest_overlap(item: DetectionItem) -> tuple[int, int] | None:
    """The longest run of words that is in the prefix, too, and is no quotation of the instruction."""
    prompt = _word_runs(item.prefix)
    if not prompt:
        return None
    prompt = prompt - _word_runs(item.instruction)
    spans = [match.span() for match in _WORD.finditer(item.response)]
    words = _words(item.response)
    best, run = (0, 0), 0
    for i in range(len(words) - _OVERLAP_WORDS + 1):
        run = run + 1 if tuple(words[i : i + _OVERLAP_WORDS]) in prompt else 0
        if run > best[1] - best[0]:
            best = (i - run + 1, i + 1)
    if best == (0, 0):
        return None
    return spans[best[0]][0], spans[best[1] + _OVERLAP_WORDS - 2][1]


def _words(text: str) -> list[str]:
    return [word.casefold().replace("\u2019", "'") for word in _WORD.findall(text)]


@lru_cache(maxsize=16)  # a batch shares its prefix
def _word_runs(text: str) -> frozenset[tuple[str, ...]]:
    words = _words(text)
    return frozenset(tuple(words[i : i + _OVERLAP_WORDS]) for i in range(len(words) - _OVERLAP_WORDS + 1))
