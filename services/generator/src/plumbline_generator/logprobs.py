"""Log-probabilities of tokens, in the model's own distribution: before temperature, penalties and filters."""

from collections.abc import Sequence

from plumbline_contracts.generator import Alternative, TokenLogprob
from torch import Tensor
from transformers import PreTrainedTokenizerBase


def token_logprobs(
    tokenizer: PreTrainedTokenizerBase, logits: Tensor, tokens: Sequence[int], alternatives: int
) -> list[TokenLogprob]:
    """One a row of `logits` (places, vocabulary): of the token that stands there, and of the likeliest, best first."""
    logarithms = logits.float().log_softmax(-1)
    chosen = logarithms[range(len(tokens)), list(tokens)].tolist()
    best = logarithms.topk(min(alternatives, logarithms.shape[-1]), -1)
    return [
        TokenLogprob(
            token=piece(tokenizer, token),
            logprob=logprob,
            alternatives=[
                Alternative(token=piece(tokenizer, other), logprob=value)
                for other, value in zip(others, values, strict=True)
            ],
        )
        for token, logprob, others, values in zip(
            tokens, chosen, best.indices.tolist(), best.values.tolist(), strict=True
        )
    ]


def piece(tokenizer: PreTrainedTokenizerBase, token: int) -> str:
    """The text of a token within a text: alone, some tokenizers drop its leading space."""
    alone, twice = (str(tokenizer.decode([token] * count, clean_up_tokenization_spaces=False)) for count in (1, 2))
    return twice[len(alone) :] if twice.startswith(alone) else alone
