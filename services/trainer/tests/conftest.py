"""A tiny random model, data files, and the trainer as a real process."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from plumbline_kit.folder_store import FolderStore

from tests.stack import free_port

PATIENCE_S = 180.0
ENDED = {"completed", "failed", "cancelled"}


@dataclass
class World:
    """What all services of a test session share: a model folder `tiny` and an artifact store."""

    root: Path
    store: FolderStore = field(init=False)

    def __post_init__(self) -> None:
        self.store = FolderStore(self.root / "artifacts")

    def data(self, rows: list[Any], name: str = "rows") -> dict[str, Any]:
        content = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
        return self.store.put_bytes(content.encode(), name).model_dump()

    def request(self, method: str = "sft", **hyperparameters: Any) -> dict[str, Any]:
        answers = {"sft": ("completion",), "dpo": ("chosen", "rejected")}[method]
        rows = [{"prompt": f"Say {n}.\n"} | {a: f"{n} {a}" for a in answers} for n in range(60)]
        chosen = {"learning_rate": 1e-3, "batch_size": 4, "epochs": 6, "max_length": 64, "seed": 7} | hyperparameters
        return {"method": method, "model": "tiny", "data": self.data(rows, method), "hyperparameters": chosen}


@dataclass
class Service:
    """One running trainer; `settings` are its variables without the prefix."""

    world: World
    settings: dict[str, Any]
    process: subprocess.Popen[bytes] = field(init=False)
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        port = free_port()
        places = {"PLUMBLINE_ARTIFACTS_DIR": self.world.store.root, "TRAINER_MODELS_DIR": self.world.root / "models"}
        own = {f"TRAINER_{name}": value for name, value in ({"PORT": port, "THREADS": 1} | self.settings).items()}
        environment = os.environ | {name: str(value) for name, value in (places | own).items()}
        self.process = subprocess.Popen([sys.executable, "-m", "plumbline_trainer"], env=environment)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S, trust_env=False)
        until(self._answers)

    def _answers(self) -> bool:
        assert self.process.poll() is None, "the service ended"
        try:
            return self.http.get("/livez").is_success
        except httpx.TransportError:
            return False

    def put(self, id: str, request: dict[str, Any]) -> httpx.Response:
        return self.http.put(f"/v1/trainings/{id}", json=request)

    def get(self, id: str) -> dict[str, Any]:
        return self.http.get(f"/v1/trainings/{id}").raise_for_status().json()

    def cancel(self, id: str) -> httpx.Response:
        return self.http.post(f"/v1/trainings/{id}/cancel")

    def wait(self, id: str) -> dict[str, Any]:
        until(lambda: self.get(id)["state"] in ENDED)
        return self.get(id)

    def events(self, id: str) -> list[dict[str, Any]]:
        lines = self.http.get(f"/v1/trainings/{id}/events").raise_for_status().text.splitlines()
        return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]

    def folder(self, id: str) -> Path:
        return Path(self.settings["JOBS_DIR"]) / id

    def child(self, id: str) -> psutil.Process:
        """The training process of a job, once it has reported its first step."""
        until(lambda: self.get(id)["progress"] is not None)
        return psutil.Process(json.loads((self.folder(id) / "state.json").read_text())["pid"])

    def end(self, sent: signal.Signals = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            self.process.send_signal(sent)
        self.process.wait(PATIENCE_S)
        self.http.close()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


@pytest.fixture(name="until", scope="session")
def until_fixture() -> Callable[[Callable[[], bool]], None]:
    return until


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("trainer"))
    (world.root / "models").mkdir()
    return world


@pytest.fixture(scope="session")
def tiny(world: World) -> Path:
    """A random Llama of two layers with a tokenizer of bytes."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = ["<pad>", "<s>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE({piece: n for n, piece in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(alphabet), **sizes, **special))
    folder = world.root / "models" / "tiny"
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def start(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Service]]:
    """Start a service; whatever still runs is ended with the session."""
    services = []

    def start(**settings: Any) -> Service:
        fresh = {} if "JOBS_DIR" in settings else {"JOBS_DIR": tmp_path_factory.mktemp("jobs")}
        services.append(Service(world, fresh | settings))
        return services[-1]

    yield start
    for service in services:
        service.end()
