"""The local engine on a tiny model: batches, ends, counts, refusals."""

import asyncio
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from plumbline_contracts.generator import Decoding, Generation, GenerationRequest, Message, Prompt
from plumbline_generator.local import LocalGenerator
from plumbline_generator.settings import Settings
from plumbline_kit.errors import ProblemError
from transformers import AutoTokenizer

from .conftest import TEMPLATE

Ask = Callable[..., GenerationRequest]
TEXTS = ["a", "Name three animals.\n", "What is it?", "é" * 20, "the quick brown fox " * 5, "zz"]


def engine(models: Path, **settings: object) -> LocalGenerator:
    shared = {"models_dir": models, "PLUMBLINE_ARTIFACTS_DIR": models / "none", "threads": 1}
    return LocalGenerator.load(Settings.model_validate(shared | settings))


def run(models: Path, request: GenerationRequest, **settings: object) -> list[Generation]:
    return asyncio.run(engine(models, **settings).generate(request)).generations


def copy(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    return to


def test_a_text_does_not_depend_on_its_batch(tiny_model: Path, ask: Ask) -> None:
    for decoding in ({}, {"stop": ["e", "\n"]}, {"repetition_penalty": 1.3}, {"temperature": 0.9, "top_p": 0.9}):
        request = ask(*TEXTS, **decoding)
        together = run(tiny_model.parent, request, batch_size=len(TEXTS))
        assert (
            together == run(tiny_model.parent, request, batch_size=1) == run(tiny_model.parent, request, batch_size=4)
        )
        assert [generation.id for generation in together] == [prompt.id for prompt in request.prompts]


def test_counts_are_of_this_prompt_alone(tiny_model: Path, ask: Ask) -> None:
    for text, generation in zip(TEXTS, run(tiny_model.parent, ask(*TEXTS)), strict=True):
        assert generation.prompt_tokens == len(text.encode())
        assert (generation.completion_tokens, generation.finish_reason) == (24, "length")
        assert generation.text == generation.raw_text


def test_the_prefix_is_part_of_every_prompt(tiny_model: Path, ask: Ask) -> None:
    with_prefix = run(tiny_model.parent, ask("b", "cc", prefix="aaa "))
    assert with_prefix == run(tiny_model.parent, ask("aaa b", "aaa cc"))


def test_text_ends_before_the_stop_string_and_raw_text_after_it(tiny_model: Path, ask: Ask) -> None:
    free = run(tiny_model.parent, ask(*TEXTS))[1].raw_text
    stop = free[7:10]
    assert stop not in free[:9]
    [stopped] = run(tiny_model.parent, ask(TEXTS[1], stop=["never written", stop]))
    expected = free[: free.index(stop) + len(stop)]
    assert (stopped.text, stopped.raw_text) == (free[: free.index(stop)], expected)
    assert (stopped.finish_reason, stopped.completion_tokens) == ("stop_string", len(expected.encode()))


def test_a_stop_string_begun_by_the_prompt_does_not_count(tiny_model: Path, ask: Ask) -> None:
    free = run(tiny_model.parent, ask("Name"))[0].raw_text
    [generation] = run(tiny_model.parent, ask("Name", stop=["e" + free[0]]))
    assert generation.raw_text.startswith(free[:2])


def test_the_end_token_ends_a_text(tiny_model: Path, ask: Ask, tmp_path: Path) -> None:
    free = run(tiny_model.parent, ask("Name"))[0].raw_text
    folder = copy(tiny_model, tmp_path / "tiny")
    id = AutoTokenizer.from_pretrained(folder)(free[5]).input_ids[0]
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [1, id]}))
    generation = run(tmp_path, ask("Name", "another prompt"))[0]
    first = free.index(free[5])
    assert (generation.finish_reason, generation.completion_tokens) == ("eos", first + 1)
    assert generation.raw_text.startswith(free[:first])


def test_the_settings_in_a_models_folder_do_not_change_decoding(tiny_model: Path, ask: Ask, tmp_path: Path) -> None:
    folder = copy(tiny_model, tmp_path / "tiny")
    proposal = {"do_sample": True, "temperature": 3.0, "repetition_penalty": 9.0, "max_length": 5, "num_beams": 3}
    (folder / "generation_config.json").write_text(json.dumps(proposal))
    assert run(tmp_path, ask(*TEXTS)) == run(tiny_model.parent, ask(*TEXTS))


def test_a_prompt_that_cannot_be_completed_does_not_fail_the_others(tiny_model: Path, ask: Ask) -> None:
    good, long, empty = run(tiny_model.parent, ask("Name", "x" * 250, ""))
    assert [good] == run(tiny_model.parent, ask("Name"))
    assert (long.finish_reason, long.prompt_tokens, long.completion_tokens) == ("error", 250, 0)
    assert "maximum context length is 256 tokens; the prompt has 250" in str(long.cause)
    assert "empty" in str(empty.cause)


def test_messages_go_through_the_models_template(tiny_model: Path, ask: Ask, tmp_path: Path) -> None:
    folder = copy(tiny_model, tmp_path / "tiny")
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    chat = GenerationRequest(
        model="tiny",
        prompts=[Prompt(id="0", messages=[Message(role="user", content="Name")])],
        decoding=Decoding(max_new_tokens=24),
    )
    assert run(tmp_path, chat) == run(tmp_path, ask("<user>Name\n<assistant>"))
    [without] = run(tiny_model.parent, chat)
    assert without.finish_reason == "error" and "chat template" in str(without.cause)
    [prefixed] = run(tmp_path, chat.model_copy(update={"prefix": "no"}))
    assert prefixed.finish_reason == "error" and "prefix" in str(prefixed.cause)


def test_a_cancelled_request_stops_soon_and_frees_the_model(tiny_model: Path, ask: Ask) -> None:
    async def cancel() -> Generation:
        generator = engine(tiny_model.parent, batch_size=1)
        await generator.generate(ask("a"))
        endless = asyncio.create_task(generator.generate(ask(*["a"] * 250, max_new_tokens=200)))
        await asyncio.sleep(0.3)
        started = time.perf_counter()
        endless.cancel()
        with pytest.raises(asyncio.CancelledError):
            await endless
        print(f"stopped after {time.perf_counter() - started:.3f} s")
        return (await generator.generate(ask("a"))).generations[0]

    assert [asyncio.run(cancel())] == run(tiny_model.parent, ask("a"))


def test_without_any_model_the_engine_cannot_work(tiny_model: Path, tmp_path: Path) -> None:
    asyncio.run(engine(tiny_model.parent).check())
    asyncio.run(engine(tmp_path, hub=True).check())
    with pytest.raises(ProblemError) as problem:
        asyncio.run(engine(tmp_path).check())
    assert (problem.value.status, problem.value.kind) == (503, "no-models")
