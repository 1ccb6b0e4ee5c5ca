"""A tiny random model whose tokens are bytes, made anew for every test session."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import torch
from plumbline_contracts.generator import Decoding, GenerationRequest, Prompt
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast


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


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., httpx.Client]]:
    """Start the service as a process with these settings, on a free port, and wait until it is ready."""
    started: list[subprocess.Popen[bytes]] = []
    clients: list[httpx.Client] = []

    def start(**settings: object) -> httpx.Client:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        environment = os.environ | {f"GENERATOR_{name}": str(value) for name, value in settings.items()}
        artifacts = str(tmp_path_factory.mktemp("artifacts"))  # not those of a stack that runs in this checkout
        environment |= {"GENERATOR_PORT": str(port), "PLUMBLINE_ARTIFACTS_DIR": artifacts, "OMP_WAIT_POLICY": "PASSIVE"}
        started.append(subprocess.Popen([sys.executable, "-m", "plumbline_generator"], env=environment))
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False)
        clients.append(client)
        while not _answers(client):
            assert started[-1].poll() is None, "the service ended at start"
            time.sleep(0.1)
        return client

    yield start
    for client in clients:
        client.close()
    for process in started:
        process.terminate()
        process.wait(30)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/livez").is_success
    except httpx.TransportError:
        return False
