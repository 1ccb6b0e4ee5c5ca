"""How the next token is chosen: by transformers' filters, and a draw that does not depend on the batch.

Filters keep few of many tokens, so the likeliest of a row are looked at first, and all only where these do not tell.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from plumbline_contracts.generator import Decoding
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    LogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
)

from .streams import GREEDY_BELOW, stream_number

_LIKELY = 64  # tokens
_AT_ONCE = 2**21  # numbers, on a CPU: for more at a time, its memory is new each time
_BLOCK = 256  # of probabilities that are added up before any of them is looked at


class Rule(NamedTuple):
    """How tokens are chosen. Rows of the same rule are looked at together."""

    temperature: float
    top_k: int
    top_p: float
    repetition_penalty: float

    @classmethod
    def of(cls, decoding: Decoding) -> "Rule":
        return cls(decoding.temperature, decoding.top_k, decoding.top_p, decoding.repetition_penalty)

    @property
    def draws(self) -> bool:
        return self.temperature >= GREEDY_BELOW

    @property
    def is_plain(self) -> bool:
        """The likeliest token is taken."""
        return not self.draws and self.repetition_penalty == 1

    def changed(self, logits: Tensor, before: Tensor | None) -> Tensor:
        """By the penalty, for `before` (rows, tokens), and by the temperature, in the order of transformers."""
        if before is not None and self.repetition_penalty != 1:
            penalty = RepetitionPenaltyLogitsProcessor(float(self.repetition_penalty))
            logits = penalty(before, logits)
        if self.draws:
            logits = TemperatureLogitsWarper(float(self.temperature))(None, logits)
        return logits

    def kept_among(self, scores: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Of the highest values (rows, some) of these scores (rows, vocabulary), with -inf in place of what `top_k` and
        `top_p` filter out, and of which rows (rows) all that these keep is there."""
        enough = torch.ones(len(scores), dtype=torch.bool, device=scores.device)
        if self.top_k:
            least = values[:, self.top_k - 1 : self.top_k]  # and what is as likely as that
            enough &= values[:, -1] < least[:, 0]
            values = values.masked_fill(values < least, float("-inf"))
        if self.top_p < 1:
            whole = (values if self.top_k else scores).logsumexp(-1, keepdim=True)
            probabilities = (values - whole).exp()
            held = probabilities.cumsum(-1)
            enough &= held[:, -1] >= self.top_p
            values = values.masked_fill(held - probabilities >= self.top_p, float("-inf"))
        return values, enough


def stream_of(decoding: Decoding, id: str) -> torch.Generator:
    """A row's own random numbers, made from the seed and the prompt's id; so its text does not depend on those beside
    it, and rounding differences between batches all but never change a draw."""
    return torch.Generator().manual_seed(stream_number(decoding.seed, id))


def drawn(probabilities: Tensor, streams: Sequence[torch.Generator]) -> Tensor:
    """A place of each row (rows, 1), by its probabilities (rows, some): one random number of its own finds the place
    among their sums."""
    if beyond := -probabilities.shape[-1] % _BLOCK:
        probabilities = pad(probabilities, (0, beyond))
    blocks = probabilities.view(len(probabilities), -1, _BLOCK)
    sums = blocks.sum(-1).double().cumsum(-1)
    random = torch.stack([torch.rand(1, dtype=torch.float64, generator=stream) for stream in streams])
    number = random.to(sums.device) * sums[:, -1:]
    block = _place(sums, number)
    within = blocks[torch.arange(len(blocks), device=blocks.device), block[:, 0]].cumsum(-1, dtype=torch.float64)
    return block * _BLOCK + _place(within, number - pad(sums, (1, 0)).gather(-1, block))


def _place(sums: Tensor, number: Tensor) -> Tensor:
    """Where the sums (rows, some) first exceed the number (rows, 1), which they do even where that was rounded up."""
    below = torch.nextafter(sums[:, -1:], torch.zeros_like(number))
    return torch.searchsorted(sums, torch.minimum(number, below), right=True).clamp_max(sums.shape[-1] - 1)


def _chosen(rule: Rule, logits: Tensor, before: Tensor | None, streams: Sequence[torch.Generator]) -> Tensor:
    """A token of each row (rows, 1), from its logits (rows, vocabulary)."""
    scores = rule.changed(logits.float(), before)
    if not rule.draws:
        return scores.max(-1, keepdim=True).indices
    if not rule.top_k and rule.top_p == 1:
        return drawn(scores.softmax(-1), streams)
    chosen = torch.empty(len(scores), 1, dtype=torch.long, device=scores.device)
    left = torch.arange(len(scores), device=scores.device)
    if rule.top_k < _LIKELY < scores.shape[-1]:
        values, tokens = scores.topk(_LIKELY)
        values, enough = rule.kept_among(scores, values)
        rows, left = left[enough], left[~enough]
        if len(rows):
            tokens, order = tokens[rows].sort(-1)
            places = drawn(values[rows].gather(-1, order).softmax(-1), [streams[row] for row in rows.tolist()])
            chosen[rows] = tokens.gather(-1, places)
    if len(left):
        scores = TopKLogitsWarper(rule.top_k)(None, scores[left]) if rule.top_k else scores[left]
        top_p = rule.top_p if rule.top_p < 1 else math.inf  # beside which all could hold a little more, by rounding
        chosen[left] = drawn_from_nucleus(scores.softmax(-1), top_p, [streams[row] for row in left.tolist()])
    return chosen


def drawn_from_nucleus(probabilities: Tensor, top_p: float, streams: Sequence[torch.Generator]) -> Tensor:
    """The same, of the likeliest which together hold `top_p`, without a sort to find them: what is drawn is one of them
    where those likelier than it hold less. Elsewhere these are drawn from again, as all of them are among these."""
    chosen = torch.empty(len(probabilities), 1, dtype=torch.long, device=probabilities.device)
    left = torch.arange(len(probabilities), device=probabilities.device)
    while len(left):
        places = chosen[left] = drawn(probabilities, [streams[row] for row in left.tolist()])
        likelier = probabilities.masked_fill(probabilities <= probabilities.gather(-1, places), 0)
        again = likelier.sum(-1) >= top_p
        left, probabilities = left[again], likelier[again]
    return chosen


class Choosing(LogitsProcessor):
    """For transformers' own loop, which takes what is highest: leaves one token of each row, of these prompts."""

    def __init__(self, decoding: Decoding, ids: Sequence[str]) -> None:
        self._rule, self._streams = Rule.of(decoding), [stream_of(decoding, id) for id in ids]

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        chosen = _chosen(self._rule, scores, input_ids, self._streams)
        return torch.full_like(scores, float("-inf")).scatter(-1, chosen, 0.0)  # type: ignore[return-value]


class Choice:
    """How one row's next token is chosen where it is not simply the likeliest."""

    def __init__(self, decoding: Decoding, id: str, before: Sequence[int]) -> None:
        self.rule, self.stream = Rule.of(decoding), stream_of(decoding, id)
        self._tokens = torch.tensor([*before, *[0] * decoding.max_new_tokens])
        self._length = len(before)

    @classmethod
    def of(cls, decoding: Decoding, id: str, before: Sequence[int]) -> "Choice | None":
        """None where the likeliest token is taken."""
        return None if Rule.of(decoding).is_plain else cls(decoding, id, before)

    @property
    def tokens(self) -> Tensor:
        """Of the prompt, and those chosen."""
        return self._tokens[: self._length]

    def add(self, token: int) -> None:
        self._tokens[self._length] = token
        self._length += 1


def choose(choices: Mapping[int, Choice], logits: Tensor) -> dict[int, int]:
    """The next token of each of these rows, from all rows' logits (rows, vocabulary)."""
    alike = defaultdict[Rule, list[int]](list)
    for place, choice in choices.items():
        alike[choice.rule].append(place)
    chosen: dict[int, int] = {}
    at_once = max(1, _AT_ONCE // logits.shape[-1]) if logits.is_cpu else len(logits)
    for rule, those in alike.items():
        for start in range(0, len(those), at_once):
            places = those[start : start + at_once]
            some = [choices[place] for place in places]
            before = None if rule.repetition_penalty == 1 else _filled([one.tokens for one in some]).to(logits.device)
            own = logits if len(places) == len(logits) else logits[places]
            tokens = _chosen(rule, own, before, [one.stream for one in some])[:, 0].tolist()
            for choice, token in zip(some, tokens, strict=True):
                choice.add(token)
            chosen |= zip(places, tokens, strict=True)
    return chosen


def _filled(rows: Sequence[Tensor]) -> Tensor:
    """To the same length with a token that the row has anyway, so that a penalty meets none beside."""
    whole = pad_sequence(list(rows), batch_first=True, padding_value=-1)
    return torch.where(whole < 0, whole[:, :1], whole)
