"""The draw: right in distribution, the same for a prompt whatever stands beside it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from plumbline_contracts.generator import GenerationRequest
from plumbline_generator.local import LocalGenerator
from plumbline_generator.sampling import SeededDraw, TopP
from plumbline_generator.settings import Settings
from scipy.stats import chisquare
from transformers import TopPLogitsWarper

Ask = Callable[..., GenerationRequest]
IDS = [str(number) for number in range(4000)]
PROBABILITIES = torch.tensor([0.5, 0.3, 0.15, 0.05])


def draw(ids: list[str], seed: int = 0) -> list[int]:
    scores = PROBABILITIES.log().expand(len(ids), -1)
    return SeededDraw(seed, ids)(torch.zeros(len(ids), 1), scores).argmax(dim=-1).tolist()


def test_tokens_are_drawn_with_their_probabilities() -> None:
    counts = torch.bincount(torch.tensor(draw(IDS)), minlength=4)
    assert chisquare(counts.numpy(), PROBABILITIES.numpy() * len(IDS)).pvalue > 0.001


def test_one_stream_is_right_in_distribution_too() -> None:
    stream = SeededDraw(0, ["7"])
    drawn = [int(stream(torch.zeros(1, 1), PROBABILITIES.log()[None]).argmax()) for _ in range(4000)]
    assert (
        chisquare(torch.bincount(torch.tensor(drawn), minlength=4).numpy(), PROBABILITIES.numpy() * 4000).pvalue > 0.001
    )


def test_a_draw_depends_on_seed_and_id_alone() -> None:
    alone = [draw([id])[0] for id in IDS[:50]]
    assert alone == draw(IDS)[:50] == draw(IDS[:50][::-1])[::-1]
    assert alone != draw(IDS[:50], seed=1)


def test_a_token_that_is_filtered_out_is_never_drawn() -> None:
    scores = torch.tensor([[0.0, float("-inf"), 0.0]]).expand(500, -1)
    drawn = SeededDraw(0, IDS[:500])(torch.zeros(500, 1), scores).argmax(dim=-1).tolist()
    assert set(drawn) == {0, 2}


@pytest.mark.parametrize("top_p", [1e-6, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("spread", [0.1, 1.0, 4.0])  # the flattest needs more tokens than are looked at first
def test_the_nucleus_is_that_of_transformers(top_p: float, spread: float) -> None:
    torch.manual_seed(0)
    scores = torch.randn(6, 5000) * spread
    ids = torch.zeros(6, 1, dtype=torch.long)
    assert torch.equal(TopP(top_p)(ids, scores), TopPLogitsWarper(top_p)(ids, scores))


def test_the_decoding_of_the_request_is_applied(tiny_model: Path, ask: Ask) -> None:
    generator = LocalGenerator.load(Settings.model_validate({"models_dir": tiny_model.parent, "threads": 1}))

    async def texts(**decoding: object) -> list[str]:
        answer = await generator.generate(ask("one", "two", **decoding))
        return [generation.raw_text for generation in answer.generations]

    async def check() -> None:
        greedy = await texts()
        assert greedy == await texts(temperature=1.0, top_k=1) == await texts(temperature=1.0, top_p=1e-6)
        assert greedy == await texts(temperature=5e-324, top_p=0.5)
        hot = await texts(temperature=5.0)
        assert hot == await texts(temperature=5.0) and hot != greedy and hot != await texts(temperature=5.0, seed=1)
        assert greedy != await texts(repetition_penalty=5.0)

    asyncio.run(check())
