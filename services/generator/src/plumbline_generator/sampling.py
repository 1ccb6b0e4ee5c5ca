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
