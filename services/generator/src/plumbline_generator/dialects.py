"""What each OpenAI-compatible server takes beyond OpenAI's own parameters, and how it says what ended a text."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from openai.types import Model
from plumbline_contracts.generator import Decoding

from .streams import GREEDY_BELOW, stream_number


@dataclass(frozen=True)
class Dialect:
    """A kind of server. The defaults are those of a server that is not known: OpenAI's parameters and no more."""

    name: str | None = None
    takes: Mapping[str, str] = field(default_factory=dict)
    """Parameters of ours that OpenAI has not, under their name there."""
    every_token: int = -1
    """Its `top_k` for all of them."""
    always: Mapping[str, Any] = field(default_factory=dict)
    """Said in every request, so that no default of the server or of the model's folder takes part."""
    stop_strings: int | None = 4
    """The most of a request; more are cut from the finished text."""
    stopped_by: str | None = None
    """The field of a choice that holds the stop string which ended it, and null for an end token."""
    tells_stop: bool = False
    """Its finish reason tells a stop string from an end token."""
    least_temperature: float = 0.0
    takes_top_p_1: bool = True
    """Otherwise it is refused, and meant by leaving it out."""
    about: str | None = None
    """Where it tells its version, beside its base URL."""
    seeded_if: str | None = None
    """The field of `about` without which the seed is ignored."""
    features: tuple[str, ...] = ()
    """What it has of `logprobs` (those of the model's own distribution), `prompt_logprobs` and `tokens`."""
    least_logprobs: int = 0
    """Alternatives that have to be asked for, to be told the log-probability of what was written."""
    stream_options: Mapping[str, Any] = field(default_factory=dict)
    """With which it counts tokens in every part of a stream."""
    asked_as: str | None = None
    """The model's name in requests, where it is not the one that is listed."""

    def refusal(self, decoding: Decoding, about: Mapping[str, Any]) -> str | None:
        """Why this decoding cannot be had there; a parameter is never dropped in silence."""
        server = f"the inference server ({self.name or 'unknown'})"
        for ours, neutral in (("top_k", 0), ("repetition_penalty", 1)):
            if getattr(decoding, ours) != neutral and ours not in self.takes:
                return f"{ours} {getattr(decoding, ours)} is nothing that {server} takes; leave it at {neutral}."
        if GREEDY_BELOW <= decoding.temperature < self.least_temperature:
            least = self.least_temperature
            return f"temperature {decoding.temperature} would be raised to {least} by {server}; give that, or 0."
        if decoding.temperature >= GREEDY_BELOW and self.seeded_if is not None and not about.get(self.seeded_if):
            return f"seed would be ignored by {server}, which runs without {self.seeded_if}; use temperature 0."
        return None

    def parameters(self, decoding: Decoding, id: str) -> dict[str, Any]:
        """Of one request to the `openai` client."""
        greedy = decoding.temperature < GREEDY_BELOW
        own = {"top_k": decoding.top_k or self.every_token, "repetition_penalty": decoding.repetition_penalty}
        asked: dict[str, Any] = {
            "max_tokens": decoding.max_new_tokens,
            "temperature": 0 if greedy else decoding.temperature,
            # 31 bits: the widest that every server takes, and llama.cpp holds all ones of 32 for "any".
            "seed": stream_number(decoding.seed, id) >> 33,
            "extra_body": {**self.always, **{theirs: own[ours] for ours, theirs in self.takes.items()}},
        }
        top_p = 1 if greedy else decoding.top_p
        if top_p != 1 or self.takes_top_p_1:
            asked["top_p"] = top_p
        if decoding.stop:
            asked["stop"] = decoding.stop[: self.stop_strings]
        return asked


_SAME = {"top_k": "top_k", "repetition_penalty": "repetition_penalty"}
# Special tokens are text, as with the local engine; the token that ends a text is left out all the same.
_PLAIN = {"min_p": 0, "skip_special_tokens": False}
_WHOLE_TEXT = 2**17  # tokens; less than 0, which used to mean all, is refused since 2026

VLLM = Dialect(
    "vllm",
    takes=_SAME,
    always=_PLAIN,
    stop_strings=None,
    stopped_by="stop_reason",
    least_temperature=0.01,
    about="version",
    features=("tokens", "logprobs", "prompt_logprobs"),
    stream_options={"continuous_usage_stats": True},
)
SGLANG = Dialect(
    "sglang",
    takes=_SAME,
    always={**_PLAIN, "separate_reasoning": False},
    stop_strings=None,
    stopped_by="matched_stop",
    about="server_info",
    seeded_if="enable_deterministic_inference",
    features=("tokens",),
)
LLAMACPP = Dialect(
    "llamacpp",
    takes={"top_k": "top_k", "repetition_penalty": "repeat_penalty"},
    # In the order of transformers and vLLM, and the penalty over the whole text; by default it looks back 64 tokens.
    always={
        "samplers": ["penalties", "temperature", "top_k", "top_p"],
        "repeat_last_n": _WHOLE_TEXT,
        "reasoning_format": "none",  # or what a model thinks is taken out of the text
    },
    stop_strings=None,
    features=("tokens", "logprobs"),
    least_logprobs=1,
)
LLAMA_CPP_PYTHON = Dialect(
    "llama-cpp-python",
    # Not its penalty, which looks back 64 tokens, whatever a request says; 1.1 is the default.
    takes={"top_k": "top_k"},
    every_token=0,
    always={"min_p": 0, "repeat_penalty": 1},
    stop_strings=None,
)
TGI = Dialect(
    "tgi",
    tells_stop=True,
    takes_top_p_1=False,
    asked_as="tgi",  # any other name is taken for that of an adapter
)
_KNOWN = {"vllm": VLLM, "sglang": SGLANG, "llamacpp": LLAMACPP, "me": LLAMA_CPP_PYTHON}


def dialect_of(model: Model) -> Dialect:
    """By who owns the model that it lists, which is where servers name themselves."""
    owner = getattr(model, "owned_by", None)
    if owner is not None and owner == model.id:
        return TGI
    return _KNOWN.get(owner or "") or Dialect(owner or None)
