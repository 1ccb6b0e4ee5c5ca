"""The plain path, transformers' own `generate`, for models whose rows cannot share a prefix."""

import logging
from collections.abc import Sequence
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from .continuation import Continuation, Work
from .sampling import Choosing
from .weights import LoadedModel

log = logging.getLogger(__name__)


def complete_plainly(loaded: LoadedModel, rows: Sequence[Continuation], batch_size: int, work: Work) -> None:
    """Complete all of one request, those of similar length together."""
    ordered = sorted(rows, key=lambda row: len(row.before), reverse=True)
    for start in range(0, len(ordered), batch_size):
        batch = ordered[start : start + batch_size]
        try:
            if not work.over:
                _complete(loaded, batch, work)
            cause = None
        except Exception as error:  # out of memory, for one
            log.exception("a batch failed")
            cause = f"{type(error).__name__}: {error}"
        for row in batch:
            if row.reason is None:
                work.done(row.generation() if cause is None else row.failure(cause))


class Raw(LogitsProcessor):
    """Remembers the model's own logits, for log-probabilities."""

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        self.scores = scores
        return scores


class Ends(StoppingCriteria):
    """Hands every row its new token; a row that has ended is done, and waits for the others of its batch."""

    def __init__(self, rows: Sequence[Continuation], raw: Raw, work: Work) -> None:
        self._rows, self._raw, self._work = rows, raw, work

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.BoolTensor:
        for place, (row, token) in enumerate(zip(self._rows, input_ids[:, -1].tolist(), strict=True)):
            if row.reason is None:
                row.note(self._raw.scores[place : place + 1], [token])
                if row.push(token):
                    self._work.done(row.generation())
        done = [row.reason is not None or self._work.over for row in self._rows]
        return torch.tensor(done, device=input_ids.device)  # type: ignore[return-value]


@torch.inference_mode()
def _complete(loaded: LoadedModel, rows: Sequence[Continuation], work: Work) -> None:
    for row in rows:
        if row.prompt_logprobs is not None:
            ids = torch.tensor([row.before], device=loaded.model.device)
            row.note_prompt(loaded.model(ids, use_cache=False).logits[0, :-1], row.before[1:])
    width = max(len(row.before) for row in rows)
    # The filling is never attended to. It repeats the row's first token, so that a repetition penalty,
    # which looks at all ids of the row, sees nothing there that the prompt itself does not hold.
    filled = [row.before[:1] * (width - len(row.before)) + row.before for row in rows]
    mask = [[0] * (width - len(row.before)) + [1] * len(row.before) for row in rows]
    decoding, raw = rows[0].request.decoding, Raw()
    greedy = GenerationConfig(max_new_tokens=decoding.max_new_tokens, do_sample=False)  # type: ignore[no-untyped-call]
    loaded.model.generate(  # type: ignore[operator]
        torch.tensor(filled, device=loaded.model.device),
        attention_mask=torch.tensor(mask, device=loaded.model.device),
        generation_config=greedy,
        logits_processor=LogitsProcessorList([raw, Choosing(decoding, [row.prompt.id for row in rows])]),
        stopping_criteria=StoppingCriteriaList([Ends(rows, raw, work)]),
    )
