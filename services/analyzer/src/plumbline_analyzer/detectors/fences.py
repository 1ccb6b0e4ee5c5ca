"""Fenced blocks, as the language and the code detector read them."""

import re
from collections.abc import Iterator
from typing import NamedTuple

_FENCE = re.compile(r"^[ \t]{0,3}(?:`{3,}+|~{3,}+)[ \t]*+([\w+#.-]*)[ \t\r]*+$", re.MULTILINE)
_PROGRAMMING = re.compile(
    r"python3?|py|javascript|jsx?|typescript|tsx?|java|kotlin|c|cpp|c\+\+|csharp|cs|c#|go|golang|rust|ruby|rb|php|swift"
    r"|scala|perl|r|matlab|julia|html|xml|svg|s?css|json|ya?ml|toml|sql|(?:ba|power)?sh(?:ell)?|shell|latex|tex|docker"
    r"|dockerfile|makefile|lua|haskell|vba?|assembly|asm|arduino|graphql|vue|diff",
    re.IGNORECASE,
)


class Block(NamedTuple):
    """`start` and `end` include the fences; `programming`: the opening fence names a programming language."""

    start: int
    end: int
    body: str
    programming: bool


def blocks(text: str) -> Iterator[Block]:
    """Closed blocks, and unclosed ones that name a programming language. Any other lone fence is URIAL's layout.

    A closing fence has no info string (CommonMark 0.31, section 4.5), so a fence with one always opens a block.
    """
    if "```" not in text and "~~~" not in text:
        return
    opening: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if opening is None:
            opening = fence
        elif fence[1]:
            yield from _unclosed(text, opening, fence.start())
            opening = fence
        else:
            yield Block(opening.start(), fence.end(), text[opening.end() : fence.start()], _names_programming(opening))
            opening = None
    if opening is not None:
        yield from _unclosed(text, opening, len(text))


def _unclosed(text: str, opening: re.Match[str], end: int) -> Iterator[Block]:
    if _names_programming(opening):
        yield Block(opening.start(), end, text[opening.end() : end], programming=True)


def _names_programming(opening: re.Match[str]) -> bool:
    return _PROGRAMMING.fullmatch(opening[1]) is not None
