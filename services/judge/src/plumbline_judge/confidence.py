"""How sure a judge model was of a score: the probabilities of the token that is the score."""

import math
import re
from collections.abc import Sequence

from plumbline_contracts.judge import Confidence

from .backend import Token

_DIGITS = "12345"
_AROUND = " \t\n\"',}"  # what a tokenizer may glue to a digit: `"4`, ` 4`, `4",`


def of_score(reply: str, start: int, aspect: str, score: float, tokens: Sequence[Token]) -> Confidence | None:
    """None where the score is no whole number or its token cannot be found. `start`: of the verdict in the reply."""
    if not tokens:
        return None
    name = re.escape(aspect)
    written = re.compile(rf'"\s*{name}\s*"\s*:\s*(?:\{{.*?"score"\s*:\s*)?"?\s*([1-5])\b', re.DOTALL | re.IGNORECASE)
    place = written.search(reply, start)
    if place is None or float(place[1]) != score:
        return None
    token = _token_at(len(reply[: place.start(1)].encode()), reply, tokens)
    return None if token is None else _over_digits(token, place[1])


def _token_at(byte: int, reply: str, tokens: Sequence[Token]) -> Token | None:
    """The token that holds a byte of the reply; None where the tokens are not those of the reply."""
    if b"".join(token.text for token in tokens).rstrip() != reply.encode().rstrip():
        return None
    for token in tokens:
        if byte < len(token.text):
            return token
        byte -= len(token.text)
    return None


def _over_digits(token: Token, digit: str) -> Confidence | None:
    written = token.text.decode(errors="replace")
    if written.strip(_AROUND) != digit:  # glued to more, such as `4/5`: its alternatives are no scores
        return None
    mass = [0.0] * 5
    for text, logprob in token.likely:
        if (bare := text.strip(_AROUND)) in set(_DIGITS):
            mass[_DIGITS.index(bare)] += math.exp(logprob)
    if (total := sum(mass)) <= 0:
        return None
    shares = [one / total for one in mass]
    expected = sum(score * share for score, share in enumerate(shares, 1))
    return Confidence(expected=min(5.0, max(1.0, expected)), probabilities=shares, mass=min(1.0, total))
