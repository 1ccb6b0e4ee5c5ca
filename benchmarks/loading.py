"""What loading a model takes and leaves: ours beside transformers (and peft), a 135M Llama of random weights.

    python benchmarks/loading.py

Each in a process of its own. Memory is anonymous, above that of the imported libraries: mapped files count for neither
side. `reckoned` is what the generator reserves. The next token's logits of both are compared.
"""

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TINYWORLD = Path(__file__).resolve().parents[1] / "var" / "tinyworld" / "models" / "tinyworld-base"
SHAPE = {
    "vocab_size": 49_152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "tie_word_embeddings": True,
    "max_position_embeddings": 2048,
}
PROMPT = list(range(3, 40))
MIB = 2**20


def make(models: Path) -> None:
    """`whole`, and `adapter` over it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SHAPE))
    model.save_pretrained(models / "whole")
    AutoTokenizer.from_pretrained(TINYWORLD).save_pretrained(models / "whole")
    config = LoraConfig(r=16, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    get_peft_model(model, config).save_pretrained(str(models / "adapter"))
    file = models / "adapter" / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"base_model_name_or_path": "whole"}))


def anonymous() -> int:
    found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


@contextlib.contextmanager
def watched() -> Iterator[dict[str, float]]:
    told: dict[str, float] = {}
    before, started, over = anonymous(), time.perf_counter(), threading.Event()
    seen = [before]

    def watch() -> None:
        while not over.wait(0.002):
            seen.append(anonymous())

    watching = threading.Thread(target=watch)
    watching.start()
    yield told
    over.set()
    watching.join()
    told |= {"seconds": time.perf_counter() - started}
    told |= {"peak": (max(seen) - before) / MIB, "after": (anonymous() - before) / MIB}


def by_transformers(models: Path, name: str, dtype: str) -> dict[str, Any]:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM
    from transformers.models.llama import modeling_llama  # noqa: F401  # imported lazily, and not to be measured

    with watched() as told:
        model: Any = AutoModelForCausalLM.from_pretrained(models / "whole", dtype=getattr(torch, dtype)).eval()
        if name == "adapter":
            model = PeftModel.from_pretrained(model, str(models / name)).merge_and_unload()
    with torch.inference_mode():
        return told | {"logits": model(torch.tensor([PROMPT])).logits[0, -1].float().tolist()}


def by_ours(models: Path, name: str, dtype: str) -> dict[str, Any]:
    import peft  # noqa: F401  # as above
    from plumbline_generator.folders import ModelFolders
    from plumbline_generator.local import LocalGenerator
    from plumbline_generator.passes import EMPTY
    from plumbline_generator.settings import Settings
    from plumbline_kit.folder_store import FolderStore
    from transformers.models.llama import modeling_llama  # noqa: F401

    folders = ModelFolders(models, FolderStore(models / "artifacts"), download=False)
    generator = LocalGenerator.load(Settings.model_validate({"dtype": dtype}), folders)
    with watched() as told:
        loaded = asyncio.run(generator._shelf.take(name))
    assert loaded.batch is not None
    need = generator._need_of(folders.find(name))
    told |= {"reckoned_peak": (need.weights + need.loading) / MIB, "reckoned": need.weights / MIB}
    _, logits = loaded.batch._forward.extended(EMPTY, PROMPT)
    return told | {"logits": logits[-1].float().tolist()}


def measure(engine: str, models: Path, name: str, dtype: str) -> dict[str, Any]:
    command = [sys.executable, __file__, engine, str(models), name, dtype]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    print("| model | | seconds | peak MiB | after MiB | reckoned peak, after | largest difference of logits |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder)
        make(models)
        for name in ("whole", "adapter"):
            for dtype in ("float32", "bfloat16"):
                found = {engine: measure(engine, models, name, dtype) for engine in ENGINES}
                pairs = zip(found["transformers"]["logits"], found["ours"]["logits"], strict=True)
                apart = max(abs(one - other) for one, other in pairs)
                for engine, told in found.items():
                    figures = f"{told['seconds']:.1f} | {told['peak']:.0f} | {told['after']:.0f}"
                    print(f"| {name}, {dtype} | {engine} | {figures} | {reckoned(told)} | {compared(engine, apart)} |")


def reckoned(told: dict[str, Any]) -> str:
    return f"{told['reckoned_peak']:.0f}, {told['reckoned']:.0f}" if "reckoned" in told else ""


def compared(engine: str, apart: float) -> str:
    return f"{apart:.2g}" if engine == "ours" else ""


ENGINES = {"transformers": by_transformers, "ours": by_ours}

if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(ENGINES[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])))
    else:
        main()
