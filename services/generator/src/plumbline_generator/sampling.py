"""How the next token is chosen: transformers' filters, then a draw that does not depend on the batch."""

import torch
from plumbline_contracts.generator import Decoding
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from .streams import GREEDY_BELOW, stream_number

_LIKELY = 1024  # tokens


class TopP(TopPLogitsWarper):
    """transformers' filter, which sorts all the vocabulary, without that where the likeliest tokens hold enough."""

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        values, ids = scores.topk(min(_LIKELY, scores.shape[-1]))
        probabilities = (values - scores.logsumexp(-1, keepdim=True)).exp()
        held = probabilities.cumsum(-1)
        if bool((held[:, -1] < self.top_p).any()):
            return super().__call__(input_ids, scores)  # type: ignore[no-any-return]
        kept = values.masked_fill(held - probabilities >= self.top_p, float("-inf"))
        return torch.full_like(scores, float("-inf")).scatter(-1, ids, kept)  # type: ignore[return-value]


class SeededDraw(LogitsProcessor):
    """Leave one token of each row, drawn from the softmax of its logits: one random number finds its place among the
    sums of probabilities.

    Each row has its own stream of numbers, made from the seed and the prompt's id; so a row's text does not depend on
    its neighbours, and rounding differences between batches all but never change a draw.
    """

    def __init__(self, seed: int, ids: list[str]) -> None:
        self._streams = [torch.Generator().manual_seed(stream_number(seed, id)) for id in ids]

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        sums = scores.softmax(-1).cumsum(-1, dtype=torch.float64)
        numbers = [torch.rand(1, dtype=torch.float64, generator=stream) for stream in self._streams]
        places = torch.stack(numbers).to(sums.device) * sums[:, -1:]
        drawn = torch.searchsorted(sums, places, right=True).clamp_max(scores.shape[-1] - 1)
        return torch.full_like(scores, float("-inf")).scatter(-1, drawn, 0.0)  # type: ignore[return-value]


def processors(decoding: Decoding, ids: list[str]) -> LogitsProcessorList:
    """In the order in which transformers itself applies them; after the last one, the argmax is taken."""
    chain = LogitsProcessorList()
    if decoding.repetition_penalty != 1:
        chain.append(RepetitionPenaltyLogitsProcessor(float(decoding.repetition_penalty)))
    if decoding.temperature < GREEDY_BELOW:
        return chain
    chain.append(TemperatureLogitsWarper(float(decoding.temperature)))
    if decoding.top_k:
        chain.append(TopKLogitsWarper(decoding.top_k))
    if decoding.top_p < 1:
        chain.append(TopP(float(decoding.top_p)))
    chain.append(SeededDraw(decoding.seed, ids))
    return chain


class Choice:
    """How one row's next token is chosen where it is not simply the likeliest."""

    def __init__(self, chain: LogitsProcessorList, before: list[int], room: int) -> None:
        self._chain = chain
        self._ids = torch.tensor([before + [0] * room])  # a penalty looks at all ids of the row
        self._length = len(before)

    @classmethod
    def of(cls, decoding: Decoding, id: str, before: list[int]) -> "Choice | None":
        """None where the likeliest token is taken."""
        chain = processors(decoding, [id])
        return cls(chain, before, decoding.max_new_tokens) if chain else None

    def next(self, logits: torch.Tensor) -> int:
        """The token after those so far, from its logits (vocabulary)."""
        ids: torch.Tensor = self._ids[:, : self._length].to(logits.device)
        token = int(self._chain(ids, logits[None].float()).argmax())  # type: ignore[arg-type]
        self._ids[0, self._length] = token
        self._length += 1
        return token
