"""A transformers model whose rows share prefixes; models that cannot are found out by trying."""

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from .attention import NAME, Step, register
from .packing import Packing
from .passes import EMPTY, Decode, IntoPrefix, IntoTails, Prefix, Shape, Span, Tails, positions

log = logging.getLogger(__name__)

_TRIAL = 24  # tokens
_AT_A_TIME = 1024  # tokens of a prefix in one pass


class SharedForward:
    """Use `of`: it compares with the model as it is."""

    def __init__(self, model: PreTrainedModel, shape: Shape) -> None:
        self._model, self.shape, self.device = model, shape, model.device

    @classmethod
    def of(cls, model: PreTrainedModel, rows: int = 64) -> "SharedForward | None":
        """None where keys depend on more than the tokens before them, or a trial differs from the plain model.

        Weights are packed for steps of so many rows where that works.
        """
        if (cause := _unfit(model)) is None:
            plain, before = _plain_logits(model), model.config._attn_implementation
            register()
            try:
                model.set_attn_implementation(NAME)
                forward = cls(model, _shape(model))
                cause = forward._fault(plain)
            except Exception as error:  # an architecture can fail in any way
                cause = f"{type(error).__name__}: {error}"
            if cause is None:
                forward._pack(plain, rows)
                return forward
            model.set_attn_implementation(before)
        log.info("%s takes the plain path: %s", type(model).__name__, cause)
        return None

    def prefix(self, tokens: Sequence[int], behind: Prefix = EMPTY) -> Prefix:
        """`behind` and these tokens."""
        for start in range(0, len(tokens), _AT_A_TIME):
            behind, _ = self.extended(behind, tokens[start : start + _AT_A_TIME], logits=False)
        return behind

    def extended(self, prefix: Prefix, tokens: Sequence[int], *, logits: bool) -> tuple[Prefix, Tensor]:
        """The longer prefix, and the logits (tokens, vocabulary) of all its new tokens, or of the last one."""
        step = IntoPrefix(prefix, tokens, self.device)
        places = positions([(len(prefix), len(tokens))], self.device)
        return_of = torch.arange(0 if logits else len(tokens) - 1, len(tokens), device=self.device)
        found = self._logits([list(tokens)], places, step, return_of)
        return step.prefix(), found[0]

    def enter(self, tails: Tails, first: int, rows: Sequence[tuple[Prefix, Sequence[int]]]) -> Tensor:
        """Rows, each with its prefix and what it has beyond it, into the tails from `first` on; their next logits."""
        spans: list[Span] = []
        tokens: list[int] = []
        for prefix, suffix in rows:
            spans.append(Span(prefix, len(tokens), len(tokens) + len(suffix)))
            tokens += suffix
        places = positions([(len(prefix), len(suffix)) for prefix, suffix in rows], self.device)
        last = torch.tensor([span.stop - 1 for span in spans], device=self.device)
        return self._logits([tokens], places, IntoTails(spans, tails, first, self.device), last)[0]

    def advance(
        self, tails: Tails, prefixes: Sequence[Prefix], written: Sequence[int], tokens: Sequence[int]
    ) -> Tensor:
        """One token more for each of the first rows, after so many of its tail; the next logits (rows, vocabulary)."""
        places = [[len(prefix) + count] for prefix, count in zip(prefixes, written, strict=True)]
        step = Decode(tails, prefixes, written, self.device)
        ids = [[token] for token in tokens]
        return self._logits(ids, torch.tensor(places, device=self.device), step, 1)[:, 0]

    @torch.inference_mode()
    def _logits(self, ids: list[list[int]], places: Tensor, step: Step, keep: Any) -> Tensor:
        output: Any = self._model(
            input_ids=torch.tensor(ids, device=self.device),
            position_ids=places,
            use_cache=False,
            logits_to_keep=keep,
            step=step,
        )
        logits: Tensor = output.logits
        return logits

    def _pack(self, plain: Tensor, rows: int) -> None:
        packing = Packing(self._model, rows)
        try:
            cause = self._fault(plain)
        except RuntimeError as error:
            cause = str(error)
        if cause is not None:
            log.warning("%s is not packed: %s", type(self._model).__name__, cause)
            packing.undo()

    @torch.inference_mode()
    def _fault(self, plain: Tensor) -> str | None:
        """What differs from the logits of the model as it was, on its way through every kind of pass."""
        ids = _trial(self._model)
        tails = Tails(self.shape, self.device)
        tails.reserve(2, len(ids))
        start = self.prefix(ids[: _TRIAL // 2])
        entered = self.enter(tails, 0, [(start, ids[_TRIAL // 2 : -1]), (EMPTY, ids[:3])])
        advanced = self.advance(tails, [start, EMPTY], [_TRIAL // 2 - 1, 3], [ids[-1], ids[3]])
        found = torch.stack([entered[0], entered[1], advanced[0], advanced[1]]).float()
        expected = plain[[_TRIAL - 2, 2, _TRIAL - 1, 3]]
        # Rounding of the model's own type; a wrong mask or position is off by far more.
        near = 2e-3 if self.shape.dtype == torch.float32 else 0.1
        worst = float((found - expected).abs().max() / expected.std().clamp_min(1e-6))
        return None if worst < near else f"its logits differ by {worst:.2g} of their spread"


def _unfit(model: PreTrainedModel) -> str | None:
    config: Any = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    rope = getattr(config, "rope_parameters", None) or {}
    if not getattr(model, "_supports_attention_backend", False):
        return "it has no exchangeable attention"
    window = getattr(config, "sliding_window", None)
    if kinds != {"full_attention"} or (window is not None and window < config.max_position_embeddings):
        return f"its layers see less than all tokens before ({', '.join(sorted(kinds))}, window {window})"
    if rope.get("rope_type") in {"dynamic", "longrope"}:
        return f"{rope['rope_type']} positions depend on the length of the whole text"
    return None


def _trial(model: PreTrainedModel) -> list[int]:
    embeddings: Any = model.get_input_embeddings()
    vocabulary = int(embeddings.weight.shape[0])
    return [(7 + 31 * place * place) % vocabulary for place in range(_TRIAL)]


@torch.inference_mode()
def _plain_logits(model: PreTrainedModel) -> Tensor:
    ids = torch.tensor([_trial(model)], device=model.device)
    output: Any = model(input_ids=ids, use_cache=False)
    logits: Tensor = output.logits[0].float()
    return logits


class _Look:
    """Notes the shapes that come by."""

    def __init__(self) -> None:
        self.layers: dict[int, tuple[int, int, int]] = {}
        self.dtype = torch.float32

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        self.layers[layer] = key.shape[1], key.shape[3], value.shape[3]
        self.dtype = key.dtype
        return query.new_zeros(*query.shape[:-1], value.shape[-1])


@torch.inference_mode()
def _shape(model: PreTrainedModel) -> Shape:
    look = _Look()
    ids = torch.tensor([_trial(model)[:2]], device=model.device)
    model(input_ids=ids, position_ids=positions([(0, 2)], model.device), use_cache=False, step=look)
    if sorted(look.layers) != list(range(model.config.get_text_config().num_hidden_layers)):
        raise NotImplementedError(f"only layers {sorted(look.layers)} attend")
    return Shape(tuple(look.layers[layer] for layer in sorted(look.layers)), look.dtype)
