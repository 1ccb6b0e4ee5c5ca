"""A generator without a model: answers from a file, or a fixed sentence a prompt. For tests and dry runs."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from plumbline_contracts import generator as contract
from plumbline_contracts.common import Info
from plumbline_contracts.generator import Decoding, FinishReason, Generation, GenerationRequest, Prompt, sha256_of

from . import __version__
from .failures import failed, refuse_what_it_cannot
from .stopping import cut


class CannedGenerator:
    """Accepts any model name. A token is a word with the space before it."""

    def __init__(self, answers: Mapping[str, str] | None) -> None:
        self._answers = answers
        listed = json.dumps(answers, sort_keys=True, ensure_ascii=False)
        self._source = f"answers sha256:{hashlib.sha256(listed.encode()).hexdigest()}"

    @classmethod
    def load(cls, file: Path | None) -> Self:
        """Read `{"prompt": ..., "text": ...}` lines; a prompt is its text without the prefix, or the last message."""
        if file is None:
            return cls(None)
        lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        return cls({line["prompt"]: line["text"] for line in lines})

    async def generate(self, request: GenerationRequest) -> contract.GenerationResponse:
        refuse_what_it_cannot(request, "the canned generator", "deadline_seconds")  # it answers at once
        return contract.GenerationResponse(
            generations=[self._generation(prompt, request) for prompt in request.prompts],
            model=request.model,
            weights_sha256=None,
            engine="canned",
            engine_version=__version__,
        )

    def _generation(self, prompt: Prompt, request: GenerationRequest) -> Generation:
        asked = prompt.text if prompt.text is not None else prompt.messages[-1].content if prompt.messages else ""
        answer, rendered = (
            _sentence(asked) if self._answers is None else self._answers.get(asked),
            request.prefix + asked,
        )
        if answer is None:
            return failed(prompt.id, len(_words(rendered)), "The canned answers have none for this prompt.")
        return _generation(prompt.id, rendered, *_decode(answer, request.decoding))

    async def models(self) -> contract.Models:
        return contract.Models(models=[_MODEL])

    async def identity(self, model: str) -> contract.ModelIdentity:
        return contract.ModelIdentity(
            model=model, weights_sha256=None, engine="canned", engine_version=__version__, source=self._source
        )

    async def check(self) -> None:
        """Always able."""

    def info(self) -> Info:
        return Info(
            contract=f"{contract.NAME}/{contract.VERSION}",
            implementation="canned",
            version=__version__,
            model=None,
            revision=None,
            description="Does not generate: answers from a fixed list, or with a fixed sentence per prompt.",
        )


_MODEL = contract.Model(name="canned", loaded=True, source="canned", weights_sha256=None, context_length=None)


def _decode(answer: str, decoding: Decoding) -> tuple[str, str, FinishReason]:
    """What was 'written', its text, and why it ended there."""
    words = _words(answer)
    raw_text = "".join(words[: decoding.max_new_tokens]) if len(words) > decoding.max_new_tokens else answer
    text, stopped = cut(raw_text, decoding.stop)
    if stopped:
        string = next(string for string in decoding.stop if raw_text.startswith(string, len(text)))
        return text + string, text, FinishReason.STOP_STRING
    return raw_text, text, FinishReason.EOS if raw_text == answer else FinishReason.LENGTH


def _generation(id: str, asked: str, raw_text: str, text: str, reason: FinishReason) -> Generation:
    return Generation(
        id=id,
        text=text,
        raw_text=raw_text,
        finish_reason=reason,
        prompt_tokens=len(_words(asked)),
        completion_tokens=len(_words(raw_text)),
        cached_prompt_tokens=None,
        prompt_sha256=sha256_of(asked),
        loop=None,
        audited=False,
        logprobs=None,
        prompt_logprobs=None,
        cause=None,
    )


def _words(text: str) -> list[str]:
    return re.findall(r"\s*\S+", text)


def _sentence(asked: str) -> str:
    mark = hashlib.sha256(asked.encode()).hexdigest()[:8]
    return f"This is canned answer {mark} to a prompt of {len(_words(asked))} words; no model wrote it."
