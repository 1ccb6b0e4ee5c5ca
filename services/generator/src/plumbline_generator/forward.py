"""A transformers model whose rows share prefixes; models that cannot are found out by trying."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from .attention import NAME, Step, register
from .packing import Packing
from .passes import (
    EMPTY,
    Decode,
    IntoPrefix,
    IntoTails,
    Prefill,
    Prefix,
    Shape,
    Span,
    Stored,
    Tails,
    positions,
)
from .replays import SETTLED, Replays, can_record
from .screening import Screening, screened_weight
from .trial import Trial

log = logging.getLogger(__name__)

_AT_A_TIME = 1024  # tokens of a prefix in one pass


class SharedForward:
    """Use `of`: it compares with the model as it is."""

    def __init__(self, model: PreTrainedModel, shape: Shape) -> None:
        self._model, self.shape, self.device = model, shape, model.device
        self._replays: Replays | None = None
        self._screening: Screening | None = None

    @classmethod
    def of(cls, model: PreTrainedModel, rows: int = 64) -> "SharedForward | None":
        """None where keys depend on more than the tokens before them, or a trial differs from the plain model.

        Weights are packed for steps of so many rows, their output screened, and steps recorded, where that works.
        """
        if (cause := _unfit(model)) is None:
            before = model.config._attn_implementation
            register()
            try:
                trial = Trial(model)
                model.set_attn_implementation(NAME)
                forward = cls(model, _shape(model))
                cause = trial.fault(forward)
            except Exception as error:  # an architecture can fail in any way
                cause = f"{type(error).__name__}: {error}"
            if cause is None:
                forward._screen(trial, rows)
                forward._pack(trial, rows)
                forward._record(trial)
                return forward
            model.set_attn_implementation(before)
        log.info("%s takes the plain path: %s", type(model).__name__, cause)
        return None

    @property
    def settles(self) -> int:
        """After so many equal steps, the next one is as all that follow."""
        return 0 if self._replays is None else SETTLED + 1

    def prefix(self, tokens: Sequence[int], behind: Prefix = EMPTY) -> Prefix:
        """`behind` and these tokens."""
        for start in range(0, len(tokens), _AT_A_TIME):
            part = tokens[start : start + _AT_A_TIME]
            step = IntoPrefix(behind, part, self.device, until=len(self.shape.layers) - 1)
            self._store(part, [(len(behind), len(part))], step)
            behind = step.prefix()
        return behind

    def extended(self, prefix: Prefix, tokens: Sequence[int]) -> tuple[Prefix, Tensor]:
        """The longer prefix, and the logits (tokens, vocabulary) of its new tokens."""
        step = IntoPrefix(prefix, tokens, self.device)
        places = positions([(len(prefix), len(tokens))], self.device)
        found = self.logits(torch.tensor([list(tokens)], device=self.device), places, step)
        return step.prefix(), found[0]

    def enter(self, tails: Tails, first: int, rows: Sequence[tuple[Prefix, Sequence[int]]]) -> None:
        """Rows, each with its prefix and what it has beyond it, into the tails from `first` on."""
        spans: list[Span] = []
        tokens: list[int] = []
        for prefix, suffix in rows:
            spans.append(Span(prefix, len(tokens), len(tokens) + len(suffix)))
            tokens += suffix
        step = IntoTails(spans, tails, first, self.device)
        self._store(tokens, [(len(prefix), len(suffix)) for prefix, suffix in rows], step)

    def advance(
        self, tails: Tails, prefixes: Sequence[Prefix], written: Sequence[int], tokens: Sequence[int]
    ) -> Tensor:
        """One token more for each of the first rows, after so many of its tail; the next logits (rows, vocabulary)."""
        if self._replays is not None and (replay := self._replays.of(tails, prefixes)) is not None:
            return replay.logits(prefixes, written, tokens)
        return self.logits(*self._next(tails, prefixes, written, tokens))[:, 0]

    def likeliest(
        self, tails: Tails, prefixes: Sequence[Prefix], written: Sequence[int], tokens: Sequence[int]
    ) -> list[int]:
        """The same step, and of each row only the token of the highest logit."""
        if self._screening is None:
            return highest(self.advance(tails, prefixes, written, tokens))
        hidden = self.hidden(*self._next(tails, prefixes, written, tokens))[:, 0]
        if (found := self._screening.likeliest(hidden)) is None:
            head: Any = self._model.get_output_embeddings()  # type: ignore[no-untyped-call]
            found = highest(head(hidden))
        return found

    def _next(
        self, tails: Tails, prefixes: Sequence[Prefix], written: Sequence[int], tokens: Sequence[int]
    ) -> tuple[Tensor, Tensor, Step]:
        places = [[len(prefix) + count] for prefix, count in zip(prefixes, written, strict=True)]
        ids = torch.tensor([[token] for token in tokens], device=self.device)
        return ids, torch.tensor(places, device=self.device), Decode(tails, prefixes, written, self.device)

    @torch.inference_mode()
    def logits(self, ids: Tensor, places: Tensor, step: Step) -> Tensor:
        """(rows, tokens, vocabulary) of tokens (rows, tokens) at these places."""
        output: Any = self._model(input_ids=ids, position_ids=places, use_cache=False, step=step)
        logits: Tensor = output.logits
        return logits

    @torch.inference_mode()
    def hidden(self, ids: Tensor, places: Tensor, step: Step) -> Tensor:
        """(rows, tokens, width), which the output layer multiplies."""
        output: Any = self._model.base_model(input_ids=ids, position_ids=places, use_cache=False, step=step)
        hidden: Tensor = output.last_hidden_state
        return hidden

    def _store(self, tokens: Sequence[int], starts: list[tuple[int, int]], step: Prefill) -> None:
        """What the step keeps of these tokens, of which so many stand from each start on; all that comes after the last
        layer's keys and values is left out."""
        if tokens:
            with suppress(Stored):
                self.hidden(torch.tensor([list(tokens)], device=self.device), positions(starts, self.device), step)

    def _screen(self, trial: Trial, rows: int) -> None:
        try:
            if (weight := screened_weight(self._model)) is not None and trial.is_output(self, weight):
                self._screening = Screening(weight, rows)
        except Exception as error:  # an architecture can fail in any way
            log.warning("%s is not screened: %s", type(self._model).__name__, error)

    def _pack(self, trial: Trial, rows: int) -> None:
        for whole in (True, False):
            packing = Packing(self._model, rows, whole=whole)
            if (cause := self._cause(trial)) is None:
                return
            packing.undo()
            level, what = (logging.INFO, "whole layers") if whole else (logging.WARNING, "layers")
            log.log(level, "%s of %s are not packed: %s", what, type(self._model).__name__, cause)

    def _record(self, trial: Trial) -> None:
        if not can_record(self.device):
            return
        self._replays = Replays(self)
        if (cause := self._cause(trial)) is not None:
            log.warning("Steps of %s are not recorded: %s", type(self._model).__name__, cause)
            self._replays = None

    def _cause(self, trial: Trial) -> str | None:
        try:
            return trial.fault(self)
        except Exception as error:  # an architecture can fail in any way
            return f"{type(error).__name__}: {error}"


def highest(logits: Tensor) -> list[int]:
    """Of each row (rows, vocabulary)."""
    found: list[int] = logits.max(-1).indices.tolist()  # argmax takes five times as long on a CPU
    return found


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
    ids = torch.tensor([[0, 1]], device=model.device)
    model(input_ids=ids, position_ids=positions([(0, 2)], model.device), use_cache=False, step=look)
    if list(look.layers) != list(range(model.config.get_text_config().num_hidden_layers)):
        raise NotImplementedError(f"only layers {list(look.layers)} attend, in this order")
    return Shape(tuple(look.layers.values()), look.dtype)
