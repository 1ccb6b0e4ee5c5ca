"""Complete one batch of tokenized prompts; where a row ends, and what it wrote, does not depend on the others."""

import threading
from collections.abc import Sequence
from typing import Any

import torch
from plumbline_contracts.generator import Decoding
from transformers import GenerationConfig, PreTrainedTokenizerBase, StoppingCriteria, StoppingCriteriaList

from .sampling import processors
from .weights import LoadedModel


class Ends(StoppingCriteria):
    """Watches every row for an end token or a stop string; `lengths` holds the number of tokens written up to it.

    Not transformers' own `stop_strings`: those also match across the end of the prompt, and a finished row's length
    is lost there. Only what was generated counts here.
    """

    def __init__(self, loaded: LoadedModel, rows: int, prompt: int, stop: list[str], cancelled: threading.Event):
        self._loaded, self._prompt, self._stop, self._cancelled = loaded, prompt, stop, cancelled
        # Every token writes at least one byte, so a stop string that has just been completed lies in these.
        self._window = max((len(string.encode()) for string in stop), default=0)
        self.lengths: list[int | None] = [None] * rows

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.BoolTensor:
        written = input_ids.shape[1] - self._prompt
        context = min(self._window, written) + 1
        for row, tokens in enumerate(input_ids[:, -context:].tolist()):
            if self.lengths[row] is None and self._ended(tokens, int(input_ids[row, -1])):
                self.lengths[row] = written
        done = [length is not None or self._cancelled.is_set() for length in self.lengths]
        return torch.tensor(done, device=input_ids.device)  # type: ignore[return-value]

    def _ended(self, tokens: list[int], last: int) -> bool:
        if last in self._loaded.eos:
            return True
        text = written_text(self._loaded.tokenizer, tokens[:1], tokens[1:]) if self._stop else ""
        return any(string in text for string in self._stop)


@torch.inference_mode()
def complete(
    loaded: LoadedModel, prompts: Sequence[list[int]], ids: list[str], decoding: Decoding, cancelled: threading.Event
) -> list[list[int]]:
    """The tokens that each prompt was continued with, its end token or stop string included."""
    width = max(map(len, prompts))
    # The filling is never attended to. It repeats the row's first token, so that a repetition penalty,
    # which looks at all ids of the row, sees nothing there that the prompt itself does not hold.
    rows = [[prompt[0]] * (width - len(prompt)) + prompt for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    ends = Ends(loaded, len(prompts), width, decoding.stop, cancelled)
    greedy = GenerationConfig(max_new_tokens=decoding.max_new_tokens, do_sample=False)  # type: ignore[no-untyped-call]
    output = loaded.model.generate(  # type: ignore[operator]
        torch.tensor(rows, device=loaded.model.device),
        attention_mask=torch.tensor(mask, device=loaded.model.device),
        generation_config=greedy,
        logits_processor=processors(decoding, ids),
        stopping_criteria=StoppingCriteriaList([ends]),
    )
    return [row[width:][:length] for row, length in zip(output.tolist(), ends.lengths, strict=True)]


def written_text(tokenizer: PreTrainedTokenizerBase, before: list[int], tokens: list[int]) -> str:
    """What `tokens` add to a text that ends with `before`: decoded alone, some tokenizers drop a leading space.

    Of the special tokens only those that begin, end and fill a text are left out.
    """
    unwritten = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}
    tokens = [token for token in tokens if token not in unwritten]
    context, whole = _decode(tokenizer, before), _decode(tokenizer, before + tokens)
    # A byte of an unfinished character may change what stood before; then there is no leading space to lose.
    return whole[len(context) :] if whole.startswith(context) else _decode(tokenizer, tokens)


def _decode(tokenizer: PreTrainedTokenizerBase, tokens: list[int]) -> str:
    return str(tokenizer.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False))
