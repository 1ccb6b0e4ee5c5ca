"""A generator without a model: answers from a file, or a fixed sentence a prompt. For tests and dry runs."""

import hashlib
import json
import re
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import NamedTuple, Self

from plumbline_contracts import generator as contract
from plumbline_contracts.common import Info
from plumbline_contracts.generator import Decoding, FinishReason, Generation, GenerationRequest, Loop, Prompt, sha256_of

from . import __version__
from .failures import failed, refuse_what_it_cannot
from .loops import LoopSearch, audited
from .stopping import cut
from .telling import Tell


class CannedGenerator(contract.Generator):
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

    async def stream(
        self, request: GenerationRequest, tell: Tell | None = None
    ) -> AsyncGenerator[Generation | contract.Origin]:
        # It answers at once, so before any deadline.
        refuse_what_it_cannot(request, "the canned generator", "deadline_seconds", "stop_loops")
        for prompt in request.prompts:
            yield self._generation(prompt, request)
        yield contract.Origin(model=request.model, weights_sha256=None, engine="canned", engine_version=__version__)

    def _generation(self, prompt: Prompt, request: GenerationRequest) -> Generation:
        asked = prompt.text if prompt.text is not None else prompt.messages[-1].content if prompt.messages else ""
        answer, rendered = (
            _sentence(asked) if self._answers is None else self._answers.get(asked),
            request.prefix + asked,
        )
        if answer is None:
            return failed(prompt.id, len(_words(rendered)), "The canned answers have none for this prompt.")
        rule, sha256 = request.decoding.stop_loops, sha256_of(rendered)
        is_audited = rule is not None and audited(sha256, rule.audit_share)
        written = _looped(_decode(answer, request.decoding), request.decoding, is_audited)
        return _generation(prompt.id, len(_words(rendered)), sha256, written, is_audited)

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


_MODEL = contract.Model(
    name="canned", loaded=True, source="canned", revision=None, base=None, weights_sha256=None, context_length=None
)


class _Written(NamedTuple):
    raw_text: str
    text: str
    reason: FinishReason
    loop: Loop | None = None


def _decode(answer: str, decoding: Decoding) -> _Written:
    words = _words(answer)
    raw_text = "".join(words[: decoding.max_new_tokens]) if len(words) > decoding.max_new_tokens else answer
    text, stopped = cut(raw_text, decoding.stop)
    if stopped:
        string = next(string for string in decoding.stop if raw_text.startswith(string, len(text)))
        return _Written(text + string, text, FinishReason.STOP_STRING)
    return _Written(raw_text, text, FinishReason.EOS if raw_text == answer else FinishReason.LENGTH)


def _looped(written: _Written, decoding: Decoding, is_audited: bool) -> _Written:
    """Ended where it becomes a loop, unless it is audited."""
    if decoding.stop_loops is None:
        return written
    search = LoopSearch(decoding.stop_loops)
    tokens = next((count for count, word in enumerate(_words(written.text), 1) if search.read(word)), 0)
    if search.found is None:
        return written
    if is_audited:
        return written._replace(loop=search.found.record(tokens_saved=0))
    ended = written.text[: search.found.met_at]
    loop = search.found.record(tokens_saved=decoding.max_new_tokens - tokens)
    return _Written(ended, ended, FinishReason.LOOP, loop)


def _generation(id: str, prompt_tokens: int, prompt_sha256: str, written: _Written, is_audited: bool) -> Generation:
    return Generation(
        id=id,
        text=written.text,
        raw_text=written.raw_text,
        finish_reason=written.reason,
        prompt_tokens=prompt_tokens,
        completion_tokens=len(_words(written.raw_text)),
        cached_prompt_tokens=None,
        prompt_sha256=prompt_sha256,
        loop=written.loop,
        audited=is_audited,
        logprobs=None,
        prompt_logprobs=None,
        cause=None,
    )


def _words(text: str) -> list[str]:
    return re.findall(r"\s*\S+", text)


def _sentence(asked: str) -> str:
    mark = hashlib.sha256(asked.encode()).hexdigest()[:8]
    return f"This is canned answer {mark} to a prompt of {len(_words(asked))} words; no model wrote it."
