"""An Argos package with tiny random weights, and the service as a process."""

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import torch
from ctranslate2.converters import TransformersConverter
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
from transformers import MarianConfig, MarianMTModel, MarianTokenizer

from tests.stack import free_port

TEXT = "name three animals what colour is the dog nomme trois animaux quelle couleur est le chien"


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with translate-en_fr-0_1. What it writes is noise, the same for the same sentence."""
    work, root = tmp_path_factory.mktemp("marian"), tmp_path_factory.mktemp("argos")
    package = root / "translate-en_fr-0_1"
    package.mkdir()
    pieces = _pieces()
    (package / "sentencepiece.model").write_bytes(pieces)
    _save_model(work, SentencePieceProcessor(model_proto=pieces), pieces)
    TransformersConverter(str(work)).convert(str(package / "model"), quantization="int8")
    write_metadata(package, "en", "fr")
    return root


def write_metadata(package: Path, source: str, target: str, **other: object) -> None:
    metadata = {"package_version": "0.1", "from_code": source, "to_code": target, "type": "translate"} | other
    (package / "metadata.json").write_text(json.dumps(metadata))


def _pieces() -> bytes:
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT.split() * 4), model_writer=model, vocab_size=40, character_coverage=1.0,
        eos_id=0, unk_id=1, bos_id=-1, pad_id=-1, hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    return model.getvalue()


def _save_model(work: Path, processor: SentencePieceProcessor, pieces: bytes) -> None:
    vocabulary = {processor.id_to_piece(id): id for id in range(processor.get_piece_size())}
    padding = vocabulary["<pad>"] = len(vocabulary)
    (work / "vocab.json").write_text(json.dumps(vocabulary))
    for name in ("source.spm", "target.spm"):
        (work / name).write_bytes(pieces)
    MarianTokenizer(*(str(work / name) for name in ("source.spm", "target.spm", "vocab.json"))).save_pretrained(work)
    torch.manual_seed(0)
    config = MarianConfig(
        vocab_size=len(vocabulary), d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=512,
        pad_token_id=padding, decoder_start_token_id=padding, eos_token_id=0, bos_token_id=0, init_std=0.5,
        forced_eos_token_id=None, activation_function="swish", scale_embedding=True,
    )  # fmt: skip
    MarianMTModel(config).save_pretrained(work)


@pytest.fixture
def serve() -> Iterator[Callable[..., httpx.Client]]:
    """Start the service as a process with these settings, on a free port, and wait until it answers."""
    started: list[subprocess.Popen[bytes]] = []
    clients: list[httpx.Client] = []

    def start(**settings: object) -> httpx.Client:
        port = free_port()
        environment = os.environ | {f"TRANSLATOR_{name}": str(value) for name, value in settings.items()}
        environment["TRANSLATOR_PORT"] = str(port)
        started.append(subprocess.Popen([sys.executable, "-m", "plumbline_translator"], env=environment))
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
