"""Recorded steps write the same tokens as one by one.

Without a GPU nothing can be recorded; then a step of the same fixed shapes runs anew each time.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from plumbline_contracts.generator import GenerationRequest
from plumbline_generator import forward, replays
from plumbline_generator.passes import Tails
from plumbline_generator.replays import SETTLED, Replay
from transformers import AutoModelForCausalLM

from .test_generator_batch import PREFIX, SHARING, TEXTS, engine, loaded, one_by_one, run, save

Ask = Callable[..., GenerationRequest]


@pytest.fixture(autouse=True)
def recording(monkeypatch: pytest.MonkeyPatch) -> list[Replay]:
    """Steps are taken for recorded; lists each time that one is."""
    made: list[Replay] = []
    begin = Replay.__init__

    def note(self: Replay, *parts: Any) -> None:
        begin(self, *parts)
        made.append(self)

    monkeypatch.setattr(Replay, "__init__", note)
    if not torch.cuda.is_available():
        monkeypatch.setattr(forward, "can_record", lambda _: True)
        monkeypatch.setattr(replays, "recorded", lambda step: step)
    return made


@pytest.fixture
def plain(tiny_model: Path) -> Any:
    model: Any = AutoModelForCausalLM.from_pretrained(tiny_model)
    return model.eval().requires_grad_(False).to("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("kind", ["llama", "qwen3", "gpt_neox"])
def test_texts_are_those_of_transformers(
    tiny_model: Path, ask: Ask, tmp_path: Path, kind: str, recording: list[Replay]
) -> None:
    folder = save(tiny_model, tmp_path / kind, kind, SHARING[kind])
    generator = engine(tmp_path, batch_size=4)
    tried = len(recording) + 1  # when the model is loaded
    for prefix in (PREFIX, ""):
        request = ask(*(text for text in TEXTS if text or prefix), prefix=prefix, model=kind)
        assert [one.raw_text for one in run(generator, request)] == one_by_one(folder, request)
    batch = loaded(generator, kind).batch
    assert batch is not None and batch._forward.settles
    assert len(recording) > tried


def test_rows_behind_several_prefixes_share_a_step(plain: Any) -> None:
    before, rows, tokens = [[5, 6, 7], [], [9, 8]], [[1, 2], [3, 4, 5], [7]], [11, 12, 13]
    whole = [[*start, *row, token] for start, row, token in zip(before, rows, tokens, strict=True)]
    expected = [plain(torch.tensor([ids], device=plain.device)).logits[0, -1] for ids in whole]
    shared = forward.SharedForward.of(plain, 4)
    assert shared is not None
    prefixes = [shared.prefix(start) for start in before]
    tails = Tails(shared.shape, shared.device)
    tails.reserve(3, 8)
    shared.enter(tails, 0, list(zip(prefixes, rows, strict=True)))
    for _ in range(SETTLED + 2):
        found = shared.advance(tails, prefixes, [len(row) for row in rows], tokens)
        torch.testing.assert_close(found, torch.stack(expected), rtol=1e-4, atol=1e-4)
    assert len(tails.replays) == 1
    tails.reserve(3, 300)
    assert not tails.replays  # they wrote to memory that is no longer used


def test_a_model_that_cannot_be_recorded_runs_all_the_same(
    tiny_model: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(step: object) -> object:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(replays, "recorded", fail)
    generator = engine(tiny_model.parent)
    request = ask(*TEXTS, prefix=PREFIX, model=tiny_model.name)
    assert [one.raw_text for one in run(generator, request)] == one_by_one(tiny_model, request)
    assert "are not recorded: RuntimeError: operation not permitted" in caplog.text


def test_recorded_steps_that_differ_are_not_used(
    plain: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(replays, "recorded", lambda step: lambda: step().flip(0))
    shared = forward.SharedForward.of(plain, 4)
    assert shared is not None and not shared.settles
    assert "are not recorded: its logits differ" in caplog.text
