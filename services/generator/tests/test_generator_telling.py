"""Texts told while they are written: what was told is how the whole text begins, whatever is written."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from plumbline_contracts.generator import Decoding, Generation, GenerationRequest, Prompt
from plumbline_generator.continuation import Continuation
from plumbline_generator.folders import ModelFolders
from plumbline_generator.local import LocalGenerator
from plumbline_generator.shelf import Shelf
from plumbline_generator.telling import Part, parts_of
from plumbline_generator.weights import LoadedModel
from plumbline_kit.folder_store import FolderStore
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from tests.stack import wait_for

from . import test_generator_openai, test_generator_tgi, tgi_server
from .conftest import Process, Run
from .inference_server import MODEL
from .test_generator_batch import PLAIN, engine, save
from .test_generator_loops import RULE
from .test_generator_openai import behave

Ask = Callable[..., GenerationRequest]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
MANY = settings(max_examples=60, deadline=None, derandomize=True)


@pytest.fixture(scope="module")
def loaded(tiny_model: Path) -> LoadedModel:
    """Its tokens are bytes, any of which may come after any other."""
    shelf = Shelf(ModelFolders(tiny_model.parent, FolderStore(tiny_model), download=False), room=1, dtype="float32")
    return asyncio.run(shelf.take("tiny"))


@pytest.fixture(scope="module")
def fallback(loaded: LoadedModel) -> LoadedModel:
    """With a tokenizer as that of Llama 2: what is not in the vocabulary is written in tokens of a byte each."""
    pieces = ["<unk>", "<s>", "</s>", *BYTES, "▁the", "▁dog", "s", "é", "▁"]
    tokenizer = Tokenizer(
        models.BPE({piece: id for id, piece in enumerate(pieces)}, [], unk_token="<unk>", byte_fallback=True)
    )
    joined = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(joined)
    return replace(
        loaded, tokenizer=PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    )


def pushed(loaded: LoadedModel, stop: list[str], before: list[int], tokens: list[int]) -> tuple[list[str], Generation]:
    """What is told of these tokens up to the end of the text, and the text."""
    told: list[str] = []
    decoding = Decoding(stop=stop, max_new_tokens=200)
    request = GenerationRequest(model="tiny", prompts=[Prompt(id="0", tokens=[1])], decoding=decoding)
    row = Continuation(loaded, request, request.prompts[0], before, lambda _, text: told.append(text))
    for token in tokens:
        if row.push(token):
            break
    return told, row.generation()


@MANY
@given(some.data())
@pytest.mark.parametrize("kind", ["loaded", "fallback"])
def test_what_was_told_is_how_the_text_begins(
    kind: str, loaded: LoadedModel, fallback: LoadedModel, data: some.DataObject
) -> None:
    model = fallback if kind == "fallback" else loaded
    ids = some.integers(0, len(model.tokenizer) - 1)
    of_bytes = some.sampled_from(["é", "€", "🙂", "👩\u200d🔬", "\n\n", "# Q", "�"]).map(
        lambda text: (
            [model.tokenizer.convert_tokens_to_ids(BYTES[byte]) for byte in text.encode()]
            if kind == "fallback"
            else model.tokenizer(text).input_ids
        )
    )
    runs = some.lists(some.one_of(of_bytes, ids.map(lambda id: [id])), max_size=20).map(
        lambda all: list(chain.from_iterable(all))
    )
    before, tokens = data.draw(runs), data.draw(runs)
    stop = data.draw(some.lists(some.sampled_from(["# Query", "\n\n", "#", "🙂é", "s s", "the"]), max_size=3))
    told, one = pushed(model, stop, before, tokens)
    assert one.text.startswith("".join(told))
    assert all(told)


@MANY
@given(some.text(max_size=40))
def test_what_is_sound_text_is_told_up_to_its_last_characters(loaded: LoadedModel, text: str) -> None:
    told, one = pushed(loaded, [], [70], loaded.tokenizer(text).input_ids)
    assert "�" not in "".join(told).replace("�" if "�" in text else "", "")
    assert "".join(told) == one.text == text or text.endswith("�")


def test_the_end_is_held_back_while_it_may_begin_a_stop_string(loaded: LoadedModel) -> None:
    told, one = pushed(loaded, ["# Query"], [70], loaded.tokenizer("a # Quest\n# Query: b").input_ids)
    assert told == ["a", " ", "# Ques", "t", "\n"]
    assert (one.text, one.finish_reason) == ("a # Quest\n", "stop_string")


def collected(generator: LocalGenerator, request: GenerationRequest) -> tuple[list[Part], list[Generation]]:
    async def read() -> list[object]:
        return [one async for one in parts_of(partial(generator.stream, request))]

    found = asyncio.run(read())
    return [one for one in found if isinstance(one, Part)], [one for one in found if isinstance(one, Generation)]


@pytest.mark.parametrize("path", ["shared", "plain"])
def test_parts_are_the_whole_text_of_each_prompt(tiny_model: Path, ask: Ask, path: str, tmp_path: Path) -> None:
    folder = tiny_model if path == "shared" else save(tiny_model, tmp_path / "tiny", "mistral", PLAIN["mistral"])
    generator = engine(folder.parent, batch_size=2)
    for more in ({}, {"stop": ["e", "x", "7"]}, {"stop_loops": RULE | {"audit_share": 0}, "max_new_tokens": 220}):
        request = ask("Name", "What is it?", "é", **more)
        parts, done = collected(generator, request)
        assert sorted(done, key=lambda one: one.id) == asyncio.run(generator.generate(request)).generations
        for one in done:
            of_it = [part.text for part in parts if part.id == one.id]
            assert "".join(of_it) == one.text and len(of_it) >= min(5, len(one.text))


def streamed(service: Process, model: str, prompt: str, **more: object) -> tuple[list[str], str]:
    """The parts, and the whole as it comes without a stream."""
    with openai.OpenAI(base_url=f"{service.base_url}/v1", api_key="none", max_retries=0) as client:
        asked = {"model": model, "prompt": prompt, "max_tokens": 400, "temperature": 0} | more
        chunks = client.completions.create(**asked, stream=True)  # type: ignore[call-overload]
        return [one.choices[0].text for one in chunks], client.completions.create(**asked).choices[0].text  # type: ignore[call-overload]


@pytest.mark.parametrize("kind", ["vllm", "other"])
def test_what_an_inference_server_streams_is_passed_on(inference_server: Run, serve: Run, kind: str) -> None:
    service = test_generator_openai.before(inference_server("--speaks", kind), serve)
    for stop in (["never"], ["dog", "tree", "red", "small", "sees a"]):
        parts, whole = streamed(service, MODEL, "three words here", stop=stop)
        assert "".join(parts) == whole and len(parts) > 3


def test_what_tgi_streams_is_passed_on(run: Run, serve: Run) -> None:
    server = run(str(Path(__file__).parent / "tgi_server.py"), "{port}")
    service = test_generator_tgi.before(server, serve)
    parts, whole = streamed(service, tgi_server.MODEL, "three words here", stop=["a", "never"], extra_body={"top_k": 5})
    assert "".join(parts) == whole and len(parts) > 1


def test_a_client_that_leaves_after_the_first_part_ends_the_work_at_the_server(
    inference_server: Run, serve: Run
) -> None:
    server = inference_server()
    service = test_generator_openai.before(server, serve)
    behave(server, "slow")
    with openai.OpenAI(base_url=f"{service.base_url}/v1", api_key="none", max_retries=0) as client:
        stream = client.completions.create(model=MODEL, prompt="loop", max_tokens=400, temperature=0, stream=True)
        assert next(stream).choices[0].text
        stream.close()
    wait_for(lambda: server.get("/calls").headers["X-Broken-Off"] == "1", 60, "the connection to be closed")
