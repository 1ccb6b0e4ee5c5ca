"""Log-probabilities of tokens, in the model's own distribution: before temperature, penalties and filters."""

from collections.abc import Mapping, Sequence

from plumbline_contracts.generator import Alternative, TokenLogprob
from torch import Tensor
from transformers import PreTrainedTokenizerBase


class Pieces(dict[int, str]):
    """The text of a token within a text: alone, some tokenizers drop its leading space. Each is decoded once."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer

    def __missing__(self, token: int) -> str:
        alone, twice = (self._decoded([token] * count) for count in (1, 2))
        self[token] = piece = twice[len(alone) :] if twice.startswith(alone) else alone
        return piece

    def _decoded(self, tokens: list[int]) -> str:
        return str(self._tokenizer.decode(tokens, clean_up_tokenization_spaces=False))


def token_logprobs(
    pieces: Mapping[int, str], logits: Tensor, tokens: Sequence[int], alternatives: int
) -> list[TokenLogprob]:
    """One a row of `logits` (places, vocabulary): of the token that stands there, and of the likeliest, best first."""
    logarithms = logits.float().log_softmax(-1)
    chosen = logarithms[range(len(tokens)), list(tokens)].tolist()
    best = logarithms.topk(min(alternatives, logarithms.shape[-1]), -1)
    return [
        TokenLogprob(
            token=pieces[token],
            logprob=logprob,
            alternatives=[
                Alternative(token=pieces[other], logprob=value) for other, value in zip(others, values, strict=True)
            ],
        )
        for token, logprob, others, values in zip(
            tokens, chosen, best.indices.tolist(), best.values.tolist(), strict=True
        )
    ]
