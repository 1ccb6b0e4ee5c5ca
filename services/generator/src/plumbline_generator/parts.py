"""The parts of a streamed answer, put together."""

from typing import Any

from openai.types import Completion
from openai.types.chat import ChatCompletion
from plumbline_contracts.generator import FinishReason, Generation

from .answers import Answer, said
from .failures import Refused
from .reading import Reading


class Parts:
    """`usage` is what the server counted; without it, `prompt_tokens` as asked for and a token for each part, or the
    limit where the server says that it was met."""

    def __init__(self, reading: Reading, chat: bool) -> None:
        self.reading, self.chat, self.prompt_tokens = reading, chat, 0
        self.ended: FinishReason | None = None
        """Why it was not read to its end."""
        self.usage: Any = None
        self._last: dict[str, Any] = {}
        self._logprobs: dict[str, list[Any]] = {}
        self._head: dict[str, Any] = {}

    def take(self, chunk: Any) -> bool:
        """Whether to stop reading here."""
        self._head |= chunk.model_dump(exclude={"choices", "usage"})
        self.usage = chunk.usage or self.usage
        for choice in chunk.choices or []:
            told = choice.model_dump()
            self._last |= {name: value for name, value in told.items() if value is not None}
            for name, values in (told.get("logprobs") or {}).items():
                self._logprobs.setdefault(name, []).extend(values if isinstance(values, list) else [])
            written = (said(choice.delta) if self.chat else choice.text) or ""
            if written:
                self.ended = self.reading.read(written)
        return self.ended is not None

    def answer(self) -> Answer:
        """As if it had come whole."""
        if self.ended is None and "finish_reason" not in self._last:
            raise Refused("The server's stream ended before the text did.")
        text = self.reading.text
        choice = self._last | {"index": 0, "finish_reason": self._last.get("finish_reason") or "stop"}
        choice |= {"message": {"role": "assistant", "content": text}} if self.chat else {"text": text}
        choice["logprobs"] = self._logprobs or None
        tokens = self.reading.most_tokens if choice["finish_reason"] == "length" else self.reading.tokens
        counted = {"prompt_tokens": self.prompt_tokens, "completion_tokens": tokens, "total_tokens": 0}
        usage = counted if self.usage is None else self.usage.model_dump()
        whole = self._head | {"choices": [choice], "usage": usage}
        return ChatCompletion.construct(**whole) if self.chat else Completion.construct(**whole)

    def complete(self, generation: Generation) -> Generation:
        """With the reason for which the reading ended, and what became a loop."""
        reason = generation.finish_reason if self.ended is None else self.ended
        self.reading.tokens = generation.completion_tokens
        loop = self.reading.loop(reason)
        return generation.model_copy(update={"finish_reason": reason, "loop": loop, "audited": self.reading.audited})
