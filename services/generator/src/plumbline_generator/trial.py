"""Whether a model computes the same when its rows share prefixes: tried once, when it has been loaded."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from .passes import EMPTY, IntoPrefix, Tails, positions

if TYPE_CHECKING:
    from .forward import SharedForward

_TOKENS = 24
_BEFORE = _TOKENS // 2  # of which a prefix is made
_EXACT = 1e-3  # of the spread of a place's logits; products of other shapes add up in another order


class Trial:
    """What the model as it is makes of a few tokens.

    In a type of low precision that is known only up to its rounding, which grows with the layers. Its own two kinds of
    attention round differently, so they tell how much; a wrong mask or position is off by more.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        embeddings: Any = model.get_input_embeddings()
        vocabulary = int(embeddings.weight.shape[0])
        self._ids = [(7 + 31 * place * place) % vocabulary for place in range(_TOKENS)]
        self._expected = self._plain(model)
        before = model.config._attn_implementation
        model.set_attn_implementation("sdpa" if before == "eager" else "eager")
        self._near = max(_EXACT, 3 * self._apart(self._plain(model), self._expected))
        model.set_attn_implementation(before)

    @torch.inference_mode()
    def fault(self, forward: "SharedForward") -> str | None:
        """What differs on the way through every kind of pass."""
        ids = self._ids
        tails = Tails(forward.shape, forward.device)
        tails.reserve(2, _TOKENS)
        start = forward.prefix(ids[:_BEFORE])
        forward.enter(tails, 0, [(start, ids[_BEFORE:-1]), (EMPTY, ids[:3])])
        for _ in range(forward.settles + 1):  # each writes the same again
            advanced = forward.advance(tails, [start, EMPTY], [_BEFORE - 1, 3], [ids[-1], ids[3]])
        apart = self._apart(advanced.float(), self._expected[[_TOKENS - 1, 3]])
        return None if apart < self._near else f"its logits differ by {apart:.2g} of their spread"

    @torch.inference_mode()
    def is_output(self, forward: "SharedForward", weight: Tensor) -> bool:
        """Whether the logits are the product with these weights (vocabulary, width), and nothing is done to them."""
        ids = torch.tensor([self._ids], device=forward.device)
        step = IntoPrefix(EMPTY, self._ids, forward.device)
        hidden = forward.hidden(ids, positions([(0, _TOKENS)], forward.device), step)[0]
        return self._apart(hidden @ weight.T, self._expected) < self._near

    @torch.inference_mode()
    def _plain(self, model: PreTrainedModel) -> Tensor:
        output: Any = model(input_ids=torch.tensor([self._ids], device=model.device), use_cache=False)
        logits: Tensor = output.logits[0].float()
        return logits

    @staticmethod
    def _apart(found: Tensor, expected: Tensor) -> float:
        """The root of the mean square of a place's differences by the spread of its logits, at the worst place."""
        difference = (found - expected).square().mean(-1).sqrt()
        return float((difference / expected.std(-1).clamp_min(1e-6)).max())
