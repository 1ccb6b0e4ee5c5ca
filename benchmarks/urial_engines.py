"""One engine on one task, for urial_generation.py: reads task.json in the given folder, prints one JSON line.

The task has `prefix` and `queries` as token ids and `new`, the number of tokens to write. Answers hold `seconds`,
`cpu`, `first` (till the first prompt was done), `tokens` per prompt and peak memory in `mb`.
"""

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

Tokens = list[list[int]]
THREADS = int(os.environ.get("URIAL_THREADS", "2"))


class Task:
    def __init__(self, folder: Path, sample: int) -> None:
        task = json.loads((folder / "task.json").read_text())
        self.folder, self.new, self.prefix = folder, int(task["new"]), list(task["prefix"])
        self.queries: Tokens = task["queries"][: sample or None]
        self.whole = [self.prefix + query for query in self.queries]
        self.started = self.cpu_started = self.first = 0.0

    def start(self) -> None:
        self.started, self.cpu_started = time.perf_counter(), time.process_time()

    def done(self) -> None:
        self.first = self.first or time.perf_counter() - self.started


def device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def transformers_model(task: Task, dtype: str) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(THREADS)
    model = AutoModelForCausalLM.from_pretrained(task.folder, dtype=getattr(torch, dtype)).eval().to(device())
    model.generate(torch.tensor([task.prefix[:16]], device=model.device), max_new_tokens=2, pad_token_id=0)
    return model


def settings_of(words: tuple[str, ...]) -> dict[str, float]:
    """Of `temperature=0.7 top_k=50`: greedy without them."""
    pairs = (word.split("=") for word in words)
    return {name: float(value) if "." in value else int(value) for name, value in pairs}


def generated(model: Any, task: Task, prompts: Tokens, cache: Any = None, **sampling: float) -> Tokens:
    """Left-padded where there are several. `cache` holds the prefix, which the prompts then lack."""
    import torch

    width, before = max(map(len, prompts)), task.prefix if cache else []
    ids = torch.tensor([before + [0] * (width - len(prompt)) + prompt for prompt in prompts], device=model.device)
    seen = [[1] * len(before) + [0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    options: dict[str, Any] = {"max_new_tokens": task.new, "pad_token_id": 0, "eos_token_id": None}
    options |= {"do_sample": True, "top_k": 0, **sampling} if sampling else {"do_sample": False}
    written = model.generate(
        input_ids=ids, attention_mask=torch.tensor(seen, device=model.device), past_key_values=cache, **options
    )
    found: Tokens = written[:, ids.shape[1] :].tolist()
    task.done()
    return found


def one_by_one(task: Task, dtype: str = "float32") -> Tokens:
    model = transformers_model(task, dtype)
    task.start()
    return [generated(model, task, [prompt])[0] for prompt in task.whole]


def padded(task: Task, size: str, dtype: str = "float32", *sampling: str) -> Tokens:
    model = transformers_model(task, dtype)
    task.start()
    order = sorted(range(len(task.whole)), key=lambda place: len(task.whole[place]))
    found: dict[int, list[int]] = {}
    for start in range(0, len(order), int(size)):
        batch = order[start : start + int(size)]
        prompts = [task.whole[place] for place in batch]
        found |= zip(batch, generated(model, task, prompts, **settings_of(sampling)), strict=True)
    return [found[place] for place in range(len(order))]


def cached(task: Task, size: str, dtype: str = "float32") -> Tokens:
    """Left-padded behind a copy of the prefix's keys and values for each row, as transformers' documentation shows."""
    import copy

    import torch
    from transformers import DynamicCache

    model = transformers_model(task, dtype)
    task.start()
    prefix = DynamicCache(config=model.config)
    with torch.inference_mode():
        model(torch.tensor([task.prefix], device=model.device), past_key_values=prefix, logits_to_keep=1)
    order = sorted(range(len(task.queries)), key=lambda place: len(task.queries[place]))
    found: dict[int, list[int]] = {}
    for start in range(0, len(order), int(size)):
        batch = order[start : start + int(size)]
        cache = copy.deepcopy(prefix)
        cache.batch_repeat_interleave(len(batch))
        found |= zip(batch, generated(model, task, [task.queries[place] for place in batch], cache), strict=True)
    return [found[place] for place in range(len(order))]


def continuous(task: Task, dtype: str = "float32") -> Tokens:
    from transformers import ContinuousBatchingConfig, GenerationConfig

    model = transformers_model(task, dtype)
    pages = len(task.whole) * (len(task.prefix) + 80 + task.new) // 32 + 64
    batching = ContinuousBatchingConfig(
        page_size=32,
        num_blocks=pages,
        max_batch_tokens=2048,
        use_cuda_graph=device() == "cuda",
        use_async_batching=False,
    )
    decoding = GenerationConfig(max_new_tokens=task.new, do_sample=False, eos_token_id=-1, pad_token_id=0)
    task.start()
    results = model.generate_batch(
        inputs=task.whole, generation_config=decoding, continuous_batching_config=batching, progress_bar=False
    )
    in_order = sorted(results.items(), key=lambda item: int(item[0].split("_")[-1]))
    return [list(result.generated_tokens) for _, result in in_order]


def ctranslate2(task: Task, inter: str, intra: str, size: str, compute: str) -> Tokens:
    from ctranslate2 import Generator
    from ctranslate2.converters import TransformersConverter
    from transformers import AutoTokenizer

    folder = task.folder / f"ct2-{compute}"
    if not folder.exists():
        TransformersConverter(str(task.folder)).convert(str(folder), quantization=compute)
    tokenizer = AutoTokenizer.from_pretrained(task.folder)
    names = [tokenizer.convert_ids_to_tokens(query) for query in task.queries]
    prefix = tokenizer.convert_ids_to_tokens(task.prefix)
    generator = Generator(
        str(folder), device="cpu", inter_threads=int(inter), intra_threads=int(intra), compute_type=compute
    )
    options = {"max_length": task.new, "min_length": task.new, "sampling_topk": 1, "include_prompt_in_result": False}
    task.start()
    found = generator.generate_batch(names, static_prompt=prefix, max_batch_size=int(size), **options)
    return [list(one.sequences_ids[0][: task.new]) for one in found]


def llama(task: Task) -> Tokens:
    """Runs where llama-cpp-python and gguf are; the prefix is found in the cache by the prompt before."""
    from gguf_of_llama import write_gguf
    from llama_cpp import Llama

    file = task.folder / "f32.gguf"
    if not file.exists():
        write_gguf(task.folder, file)
    model = Llama(str(file), n_ctx=2048, n_threads=THREADS, n_threads_batch=THREADS, n_batch=512, verbose=False)
    found = []
    task.start()
    for prompt in task.whole:
        tokens = model.generate(prompt, top_k=1, temp=0.0)
        found.append([token for token, _ in zip(tokens, range(task.new), strict=False)])
        task.done()
    return found


def ours(task: Task, dtype: str, size: str, *sampling: str) -> Tokens:
    """The engine of services/generator, as the service starts it."""
    from plumbline_contracts.generator import Decoding, GenerationRequest, Prompt
    from plumbline_generator.batch import Row
    from plumbline_generator.continuation import Work
    from plumbline_generator.local import LocalGenerator, prepared, shared_tokens
    from plumbline_generator.settings import Settings

    settings = {"models_dir": task.folder.parent, "threads": THREADS, "dtype": dtype, "batch_size": int(size)}
    generator = LocalGenerator.load(Settings.model_validate(settings))
    loaded = replace(asyncio.run(generator._shelf.take(task.folder.name)), eos=frozenset())
    assert loaded.batch is not None
    request = GenerationRequest(
        model=task.folder.name,
        prompts=[Prompt(id=str(place), tokens=prompt) for place, prompt in enumerate(task.whole)],
        decoding=Decoding.model_validate({"max_new_tokens": task.new} | settings_of(sampling)),
    )
    results: SimpleQueue[Any] = SimpleQueue()
    task.start()
    rows, _ = prepared(loaded, request)
    work = Work(results.put)
    shared = shared_tokens(loaded, request, rows)
    loaded.batch.submit([Row(work, row, shared) for row in rows])
    for _ in rows:
        results.get()
        task.done()
    return [row.tokens for row in rows]


def bound(task: Task) -> Iterator[tuple[str, float]]:
    """Bytes per second of a triad, and operations per second of products with a batch of rows, and with a prompt."""
    import torch

    torch.set_num_threads(THREADS)
    torch.set_default_device(device())
    a, b, c = (torch.rand(2**25 if device() == "cpu" else 2**30) for _ in range(3))
    yield "triad GB/s", 3 * a.nbytes / best(lambda: torch.add(a, b, alpha=2, out=c)) / 1e9
    config = json.loads((task.folder / "config.json").read_text())
    inner, outer = config["hidden_size"], config["intermediate_size"]
    count = max(1, 2 ** (25 if device() == "cpu" else 29) // (inner * outer))
    for dtype in (torch.float32, torch.bfloat16):
        weights = [torch.rand(outer, inner).to(dtype) for _ in range(count)]
        for rows in (64, 1024):
            x = torch.rand(rows, inner).to(dtype)
            seconds = best(lambda x=x, weights=weights: [x @ weight.T for weight in weights])
            name = str(dtype).removeprefix("torch.")
            yield f"{name} GFLOP/s, {rows} rows", 2 * rows * inner * outer * count / seconds / 1e9


def best(work: Callable[[], object]) -> float:
    import torch

    seconds = []
    for _ in range(8):
        start = time.perf_counter()
        work()
        if device() == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def peak() -> float:
    """Of the GPU's memory where there is one, in MB."""
    if "torch" in sys.modules and device() == "cuda":
        import torch

        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


ENGINES: dict[str, Callable[..., Tokens]] = {
    "one-by-one": one_by_one,
    "padded": padded,
    "cached": cached,
    "continuous": continuous,
    "ctranslate2": ctranslate2,
    "llama.cpp": llama,
    "ours": ours,
}


def main() -> None:
    """python urial_engines.py FOLDER SAMPLE ENGINE [OPTION...]"""
    task = Task(Path(sys.argv[1]), int(sys.argv[2]))
    engine, *options = sys.argv[3:]
    if engine == "bound":
        print(json.dumps(dict(bound(task))))
        return
    tokens = ENGINES[engine](task, *options)
    seconds, cpu = time.perf_counter() - task.started, time.process_time() - task.cpu_started
    answer = {"seconds": seconds, "cpu": cpu, "first": task.first or seconds, "tokens": tokens, "mb": peak()}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
