"""From a prompt to tokens, exactly as the model's tokenizer does it; what cannot be asked of a model is refused."""

from typing import Any

from jinja2 import TemplateError
from plumbline_contracts.generator import GenerationRequest, Prompt

from .failures import PREFIX_WITH_MESSAGES, Refused, TooLong
from .weights import LoadedModel


def encode(loaded: LoadedModel, request: GenerationRequest, prompt: Prompt) -> list[int]:
    """The tokens of one prompt, or Refused. A prefix that prompts share is part of each of them."""
    if request.prefix and prompt.text is None:
        raise Refused(PREFIX_WITH_MESSAGES)
    if prompt.tokens is not None:
        return list(prompt.tokens)
    special = prompt.messages is None  # a chat template writes its own
    text = rendered(loaded, request, prompt)
    return list(loaded.tokenizer(text, add_special_tokens=special, verbose=False).input_ids)


def rendered(loaded: LoadedModel, request: GenerationRequest, prompt: Prompt) -> str:
    """The text that is encoded, or Refused."""
    return request.prefix + prompt.text if prompt.text is not None else _chat(loaded, request, prompt)


def check(loaded: LoadedModel, tokens: list[int], new: int) -> None:
    """Refused when the model cannot continue these tokens by `new` ones."""
    if not tokens:
        raise Refused("The prompt is empty, and this model has no token that begins a text.")
    if loaded.most_tokens is not None and len(tokens) + new > loaded.most_tokens:
        most = f"This model's maximum context length is {loaded.most_tokens} tokens"  # clients look for these words
        raise TooLong(f"{most}; the prompt has {len(tokens)}, and {new} new ones are asked for.")
    if max(tokens) >= loaded.vocabulary:
        raise Refused(f"The prompt has token {max(tokens)}; the model's tokens are 0 to {loaded.vocabulary - 1}.")


def _chat(loaded: LoadedModel, request: GenerationRequest, prompt: Prompt) -> str:
    if loaded.tokenizer.chat_template is None:
        raise Refused(f"{request.model} has no chat template; ask with a text, as one asks a base model.")
    messages: list[dict[str, Any]] = [message.model_dump() for message in prompt.messages or []]
    try:
        return str(loaded.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))
    except (TemplateError, ValueError) as error:
        raise Refused(f"The messages do not fit {request.model}'s chat template: {error}") from error
