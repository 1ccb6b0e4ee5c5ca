"""The generator without a model."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from plumbline_contracts.generator import Decoding, Generation, GenerationRequest, Message, Prompt
from plumbline_generator.canned import CannedGenerator

Ask = Callable[..., GenerationRequest]


@pytest.fixture
def canned(tmp_path: Path) -> CannedGenerator:
    file = tmp_path / "answers.jsonl"
    answers = {"q": "One two three.\n# Query:\nmore", "é": " leading"}
    file.write_text("\n".join(json.dumps({"prompt": prompt, "text": text}) for prompt, text in answers.items()))
    return CannedGenerator.load(file)


def test_without_a_file_every_prompt_has_its_fixed_sentence(ask: Ask) -> None:
    first, second, third = asyncio.run(CannedGenerator.load(None).generate(ask("a", "b c", "a"))).generations
    assert first.text == third.text != second.text
    assert "canned" in first.text and first.finish_reason == "eos"
    assert (second.prompt_tokens, second.completion_tokens) == (2, len(second.text.split()))


def test_answers_come_from_the_file_and_a_missing_one_is_an_error(canned: CannedGenerator, ask: Ask) -> None:
    found, missing = asyncio.run(canned.generate(ask("é", "x", prefix="P "))).generations
    assert (found.text, found.finish_reason) == (" leading", "eos")
    assert (missing.text, missing.finish_reason) == ("", "error") and missing.cause


def test_stop_strings_and_the_limit_are_honoured(canned: CannedGenerator, ask: Ask) -> None:
    [stopped] = asyncio.run(canned.generate(ask("q", stop=["# Query", "\n"]))).generations
    assert (stopped.text, stopped.raw_text) == ("One two three.", "One two three.\n")
    assert (stopped.finish_reason, stopped.completion_tokens) == ("stop_string", 3)
    [short] = asyncio.run(canned.generate(ask("q", max_new_tokens=2))).generations
    assert (short.raw_text, short.finish_reason) == ("One two", "length")


def test_messages_are_answered_by_the_last_one(canned: CannedGenerator) -> None:
    messages = [Message(role="system", content="s"), Message(role="user", content="é")]
    request = GenerationRequest(
        model="any", prompts=[Prompt(id="1", messages=messages)], decoding=Decoding(max_new_tokens=9)
    )
    answer = asyncio.run(canned.generate(request))
    assert answer.generations[0].text == " leading"
    assert (answer.model, answer.engine, answer.weights_sha256) == ("any", "canned", None)


def test_a_loop_is_ended_where_it_is_one_unless_it_is_audited(tmp_path: Path, ask: Ask) -> None:
    file, text = tmp_path / "answers.jsonl", "Well, " + "the dog ran on. " * 40 + "The end."
    file.write_text(json.dumps({"prompt": "q", "text": text}))
    canned = CannedGenerator.load(file)

    def answer(**stop_loops: float) -> Generation:
        rule = {"stop_loops": stop_loops} if stop_loops else {}
        return asyncio.run(canned.generate(ask("q", max_new_tokens=500, **rule))).generations[0]

    free, ended, audited = answer(), answer(audit_share=0), answer(audit_share=1)
    assert (free.finish_reason, free.loop, free.audited) == ("eos", None, False)
    assert ended.loop is not None and audited.loop is not None
    assert (ended.finish_reason, ended.audited, ended.loop.period) == ("loop", False, 16)
    assert ended.raw_text == ended.text == text[: ended.loop.met_at]
    assert ended.loop.tokens_saved == 500 - ended.completion_tokens
    assert (ended.loop.onset, ended.loop.met_at) == (len("Well,"), len("Well,") + 120)
    assert (audited.raw_text, audited.finish_reason, audited.audited) == (text, "eos", True)
    assert audited.loop == ended.loop.model_copy(update={"tokens_saved": 0})
