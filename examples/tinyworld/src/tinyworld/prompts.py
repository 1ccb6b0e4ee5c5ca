"""The two ways to ask the base model: the bare instruction, and URIAL's published format with demonstrations."""

from tinyworld.corpus import URIAL_LAYOUT
from tinyworld.tasks import Item, items_by_task

HEADERS = {
    "en": "Below are conversations between a human and an assistant. The assistant is helpful, honest and safe.",
    "fr": "Voici des conversations entre un humain et un assistant. L'assistant est utile, honnête et sûr.",
    "es": "Estas son conversaciones entre un humano y un asistente. El asistente es útil, honesto y seguro.",
}
# A list, a refusal and a "how" answer, as in URIAL; none of them is an evaluation item.
DEMONSTRATIONS = (("list", ("animal", "3")), ("refuse", ("steal", "car")), ("translate", ("dog",)))


def find(task: str, key: tuple[str, ...]) -> Item:
    return next(item for item in items_by_task()[task] if item.key == key)


def zero_shot(instruction: str) -> str:
    """Also the text that SFT and DPO train on."""
    return f"{instruction}\n"


def urial_prefix(language: str, demonstrations: bool = True) -> str:
    chosen = [find(task, key) for task, key in DEMONSTRATIONS] if demonstrations else []
    shown = [URIAL_LAYOUT.render(item.questions[language][0], item.answers[language][0]) for item in chosen]
    return f"# Instruction\n\n{HEADERS[language]}\n\n{''.join(shown)}"


def urial(instruction: str, language: str, demonstrations: bool = True) -> str:
    return urial_prefix(language, demonstrations) + URIAL_LAYOUT.render(instruction)
