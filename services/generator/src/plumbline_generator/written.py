"""From tokens to text, also while they come."""

import re
from collections.abc import Callable
from functools import partial

from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_CONTEXT, _LONGEST, _MOST_HELD = 8, 24, 64  # tokens


class TextReader:
    """The text of tokens as they come; a character of several tokens comes with the last of them. `open` is what those
    that are not told yet would be by themselves."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, before: list[int]) -> None:
        self._tokenizer, self._decoded, self._unwritten = tokenizer, decoder(tokenizer), unwritten(tokenizer)
        self._held, self.open = list[int](), ""
        self._context, self._known = list[int](), ""
        self._stand_behind(before[self._start(before) :])

    def read(self, token: int) -> str:
        """What is certain to have been written by now and was not told yet."""
        if token in self._unwritten:
            return ""
        self._held.append(token)
        whole = self._decoded(self._context + self._held)
        text = _added(self._decoded, self._known, whole, self._held)
        if self._is_open(text):
            self.open = text
            return ""
        self._context, self._known, self._held, self.open = self._context + self._held, whole, [], ""
        if len(self._context) > _LONGEST:
            self._stand_behind(self._context[-_CONTEXT:])
        return text

    def _start(self, before: list[int]) -> int:
        return max(0, len(before) - _CONTEXT)

    def _stand_behind(self, context: list[int]) -> None:
        self._context, self._known = context, self._decoded(context)

    def _is_open(self, text: str) -> bool:
        return text.endswith("�") and len(self._held) < 8


class CertainReader(TextReader):
    """The same for who must never see what the whole text has not: it waits longer, in the end for ever.

    Byte tokens (`<0xE2>`) that follow each other are characters only if all of them are, so they are waited out.
    tokenizers' own DecodeStream tells them at once, and raises when a later one turns them into something else.
    """

    def read(self, token: int) -> str:
        if len(self._held) == _MOST_HELD:
            return ""
        return super().read(token)

    def _start(self, before: list[int]) -> int:
        start = super()._start(before)
        while start and self._is_byte(before[start]):
            start -= 1
        return start

    def _is_open(self, text: str) -> bool:
        return text.endswith("�") or self._is_byte(self._held[-1])

    def _is_byte(self, token: int) -> bool:
        return _BYTE.fullmatch(str(self._tokenizer.convert_ids_to_tokens(token))) is not None


def written_text(tokenizer: PreTrainedTokenizerBase, before: list[int], tokens: list[int]) -> str:
    """What `tokens` add to a text that ends with `before`: decoded alone, some tokenizers drop a leading space.

    Of the special tokens only those that begin, end and fill a text are left out.
    """
    left_out, decoded = unwritten(tokenizer), decoder(tokenizer)
    tokens = [token for token in tokens if token not in left_out]
    return _added(decoded, decoded(before), decoded(before + tokens), tokens)


def _added(decoded: Callable[[list[int]], str], known: str, whole: str, tokens: list[int]) -> str:
    """What `tokens` add to a text `known`, which makes it `whole`."""
    # A byte of an unfinished character may change what stood before; then there is no leading space to lose.
    return whole[len(known) :] if whole.startswith(known) else decoded(tokens)


def unwritten(tokenizer: PreTrainedTokenizerBase) -> set[int | None]:
    """The tokens that are no text."""
    return {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}


def decoder(tokenizer: PreTrainedTokenizerBase) -> Callable[[list[int]], str]:
    """From tokens to text, special ones included: by tokenizers itself, where transformers only adds time to it."""
    kind = type(tokenizer)
    if (
        isinstance(tokenizer, PreTrainedTokenizerFast)
        and kind.decode is PreTrainedTokenizerBase.decode
        and kind._decode is PreTrainedTokenizerFast._decode
    ):
        return partial(tokenizer.backend_tokenizer.decode, skip_special_tokens=False)
    return lambda tokens: str(tokenizer.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False))
