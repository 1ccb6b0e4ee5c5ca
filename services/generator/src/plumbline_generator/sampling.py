"""How the next token is chosen: transformers' own filters, then a draw that does not depend on the batch."""

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


class SeededDraw(LogitsProcessor):
    """Draw by the Gumbel-max trick: the argmax of logits + Gumbel noise is a draw from their softmax.

    Each row has its own stream of noise, made from the seed and the prompt's id; so a row's text does not depend on
    its neighbours, and rounding differences between batches all but never change a draw.
    """

    def __init__(self, seed: int, ids: list[str]) -> None:
        self._streams = [torch.Generator().manual_seed(stream_number(seed, id)) for id in ids]

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        noise = torch.empty(scores.shape, dtype=scores.dtype)
        for row, stream in zip(noise, self._streams, strict=True):
            row.exponential_(generator=stream)
        return scores - noise.log().to(scores.device)  # type: ignore[return-value]


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
        chain.append(TopPLogitsWarper(float(decoding.top_p)))
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
