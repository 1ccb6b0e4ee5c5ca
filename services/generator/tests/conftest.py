"""A tiny random model whose tokens are bytes, made anew for every test session."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx
import pytest
import torch
from plumbline_contracts.generator import Decoding, GenerationRequest, Prompt
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tests.stack import free_port, wait_until_listening

TEMPLATE = (
    "{% for message in messages %}<{{ message.role }}>{{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
HUB_MODEL = "org/tiny"


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Writes printable characters, with logits so far apart that none are tied; no end token, no chat template."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    specials = ["<pad>", "<s>", "</s>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: id for id, token in enumerate([*specials, *letters])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(specials)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>").save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
        initializer_range=0.5,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )
    model = LlamaForCausalLM(config)
    printable = {vocabulary["Ġ"], *(vocabulary[chr(byte)] for byte in range(ord("!"), ord("~") + 1))}
    silent = sorted(set(vocabulary.values()) - printable)
    with torch.no_grad():
        model.lm_head.weight[silent] = 0
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def hub(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with an end token and a chat template, where a hub cache and a models folder both have it."""
    cache = tmp_path_factory.mktemp("hub") / "hub" / "models--org--tiny"
    snapshot = cache / "snapshots" / "0"
    shutil.copytree(tiny_model, snapshot)
    tokenizer = AutoTokenizer.from_pretrained(snapshot)
    tokenizer.add_special_tokens({"eos_token": "Q"})
    tokenizer.save_pretrained(snapshot)
    (snapshot / "generation_config.json").write_text(json.dumps({"eos_token_id": tokenizer.eos_token_id}))
    (snapshot / "chat_template.jinja").write_text(TEMPLATE)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("0")
    (cache.parent / "org").mkdir()
    (cache.parent / "org" / "tiny").symlink_to(snapshot)
    return cache.parent


@pytest.fixture
def ask() -> Callable[..., GenerationRequest]:
    def make(*texts: str, model: str = "tiny", prefix: str = "", **decoding: object) -> GenerationRequest:
        """Texts become prompts with the ids "0", "1", ...; 24 new tokens unless told."""
        return GenerationRequest(
            model=model,
            prefix=prefix,
            prompts=[Prompt(id=str(number), text=text) for number, text in enumerate(texts)],
            decoding=Decoding.model_validate({"max_new_tokens": 24} | decoding),
        )

    return make


class Process(httpx.Client):
    """A process that listens on a free port of its own, and a client of it."""

    def __init__(self, command: Sequence[str], environment: dict[str, str]) -> None:
        self.port = free_port()
        super().__init__(base_url=f"http://127.0.0.1:{self.port}", timeout=60, trust_env=False)
        self.command = [sys.executable, *(word.replace("{port}", str(self.port)) for word in command)]
        self.environment = os.environ | environment | {"GENERATOR_PORT": str(self.port), "OMP_WAIT_POLICY": "PASSIVE"}
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, env=self.environment)
        wait_until_listening(self.process, self.port)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


Run = Callable[..., Process]


@pytest.fixture(scope="session")
def run() -> Iterator[Run]:
    """Start a process with these words, `{port}` standing for the port, and more environment variables."""
    started: list[Process] = []

    def start(*command: str, **environment: str) -> Process:
        started.append(Process(command, environment))
        return started[-1]

    yield start
    for process in started:
        process.close()
        process.process.terminate()
    for process in started:
        process.process.wait(30)


@pytest.fixture(scope="session")
def serve(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Process]:
    """Start the service with these settings, and wait until it listens, which it does when its engine is there."""

    def start(**settings: object) -> Process:
        environment = {f"GENERATOR_{name}": str(value) for name, value in settings.items()}
        artifacts = str(tmp_path_factory.mktemp("artifacts"))  # not those of a stack that runs in this checkout
        return run("-m", "plumbline_generator", PLUMBLINE_ARTIFACTS_DIR=artifacts, **environment)

    return start


@pytest.fixture(scope="session")
def inference_server(run: Run) -> Callable[..., Process]:
    """Start a scripted inference server with these options."""
    return lambda *options: run(str(Path(__file__).parent / "inference_server.py"), "{port}", *options)
