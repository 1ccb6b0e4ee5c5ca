"""The text formats that experiments vary: zero-shot, URIAL and chat; the same in training and in generation."""

import hashlib
from collections.abc import Callable
from importlib import resources
from typing import Literal

from plumbline_contracts.experiment import ExperimentSpec, ZeroShot
from plumbline_contracts.generator import Message, Prompt

Format = Literal["zero-shot", "urial", "chat"]
URIAL_VERSION = "urial-v1"
FENCE = "```"
# The stop strings of URIAL's own inference code (field notes, section 2.2).
FENCED_STOPS = ["# Query", "# User"]


def builtin_languages() -> list[str]:
    folder = resources.files(__package__) / "prompts" / URIAL_VERSION
    return sorted(file.name.removesuffix(".txt") for file in folder.iterdir() if file.name.endswith(".txt"))


def builtin(language: str) -> str:
    """Plumbline's own URIAL prompt: system text and three demonstrations."""
    return (resources.files(__package__) / "prompts" / URIAL_VERSION / f"{language}.txt").read_text("utf-8")


def uses_urial(spec: ExperimentSpec) -> bool:
    return "urial" in {arm.prompting for arm in spec.arms} | {one.prompting for one in spec.trainings.values()}


def demonstrated(spec: ExperimentSpec, language: str) -> str:
    """The language of the demonstrations for instructions in this one."""
    return "en" if spec.prompts.urial.demonstrations == "en" else language


def fenced(instruction: str) -> str:
    """URIAL's layout up to where the answer starts."""
    return f"# Query:\n{FENCE}\n{instruction}\n{FENCE}\n\n# Answer:\n{FENCE}\n"


class Prompting:
    """Renders an experiment's prompts. `read` gives the text of a prompt file of the user's own by its path."""

    def __init__(self, spec: ExperimentSpec, read: Callable[[str], str]) -> None:
        self.zero_shot: ZeroShot = spec.prompts.zero_shot
        urial = spec.prompts.urial
        self.sources = {one: demonstrated(spec, one) for one in spec.languages if uses_urial(spec)}
        self.urial = {
            source: read(urial.files[source].path) if source in urial.files else builtin(source)
            for source in set(self.sources.values())
        }

    def prefix(self, format: Format, language: str) -> str:
        """What stands before every prompt, ending with a blank line as in the published files."""
        return self.urial[self.sources[language]].rstrip("\n") + "\n\n" if format == "urial" else ""

    def prompt(self, format: Format, id: str, instruction: str) -> Prompt:
        if format == "chat":
            return Prompt(id=id, messages=[Message(role="user", content=instruction)])
        return Prompt(id=id, text=self.text(format, instruction))

    def text(self, format: Format, instruction: str) -> str:
        return fenced(instruction) if self._is_fenced(format) else f"{instruction}\n"

    def stops(self, format: Format) -> list[str]:
        return FENCED_STOPS if self._is_fenced(format) else []

    def completion(self, format: Format, response: str) -> str:
        """What a model should write after the prompt; the trainer adds the end of text."""
        return f"{response}\n{FENCE}" if self._is_fenced(format) else response

    def clean(self, format: Format, text: str) -> str:
        """The response without the layout's closing fence. Fences of the model's own stay."""
        text = text.strip()
        if self._is_fenced(format) and text.count(FENCE) % 2 == 1:
            text = text.removesuffix(FENCE).rstrip()
        return text

    def digests(self) -> dict[str, str]:
        """sha256 of every prompt text in use, for the manifest."""
        return {f"urial/{name}": hashlib.sha256(text.encode()).hexdigest() for name, text in self.urial.items()}

    def _is_fenced(self, format: Format) -> bool:
        return format == "urial" or (format == "zero-shot" and self.zero_shot.template == "fenced")
