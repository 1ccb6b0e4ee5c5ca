"""The draw: right in distribution, the same for a prompt whatever stands beside it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from plumbline_contracts.generator import Decoding, GenerationRequest
from plumbline_generator import sampling
from plumbline_generator.local import LocalGenerator
from plumbline_generator.sampling import Choice, Choosing, Rule, choose, drawn, drawn_from_nucleus, stream_of
from plumbline_generator.settings import Settings
from scipy.stats import chisquare
from transformers import TopKLogitsWarper, TopPLogitsWarper

Ask = Callable[..., GenerationRequest]
IDS = [str(number) for number in range(4000)]
PROBABILITIES = torch.tensor([0.5, 0.3, 0.15, 0.05])


def draw(ids: list[str], seed: int = 0) -> list[int]:
    return drawn(PROBABILITIES.expand(len(ids), -1), [stream_of(_decoding(seed=seed), id) for id in ids])[:, 0].tolist()


def _decoding(**settings: object) -> Decoding:
    return Decoding.model_validate({"max_new_tokens": 8, "temperature": 1.0} | settings)


def _chosen(choices: list[Choice], logits: torch.Tensor) -> list[int]:
    found = choose(dict(enumerate(choices)), logits)
    return [found[row] for row in range(len(choices))]


def test_tokens_are_drawn_with_their_probabilities() -> None:
    counts = torch.bincount(torch.tensor(draw(IDS)), minlength=4)
    assert chisquare(counts.numpy(), PROBABILITIES.numpy() * len(IDS)).pvalue > 0.001


def test_one_stream_is_right_in_distribution_too() -> None:
    stream = stream_of(_decoding(), "7")
    tokens = torch.tensor([int(drawn(PROBABILITIES[None], [stream])) for _ in range(4000)])
    counts = torch.bincount(tokens, minlength=4)
    assert chisquare(counts.numpy(), PROBABILITIES.numpy() * 4000).pvalue > 0.001


def test_a_draw_depends_on_seed_and_id_alone() -> None:
    alone = [draw([id])[0] for id in IDS[:50]]
    assert alone == draw(IDS)[:50] == draw(IDS[:50][::-1])[::-1]
    assert alone != draw(IDS[:50], seed=1)


def test_a_token_that_is_filtered_out_is_never_drawn() -> None:
    probabilities = torch.tensor([[0.5, 0.0, 0.5]]).expand(500, -1)
    tokens = drawn(probabilities, [stream_of(_decoding(), id) for id in IDS[:500]])
    assert set(tokens[:, 0].tolist()) == {0, 2}


def test_a_draw_among_many_tokens_meets_only_those_that_are_left() -> None:
    """Also at the ends of blocks that are added up first."""
    left = torch.tensor([0, 255, 256, 699])
    probabilities = torch.zeros(len(IDS), 700)
    probabilities[:, left] = PROBABILITIES
    counts = torch.bincount(drawn(probabilities, [stream_of(_decoding(), id) for id in IDS])[:, 0], minlength=700)
    assert counts.sum() == counts[left].sum() == len(IDS)
    assert chisquare(counts[left].numpy(), PROBABILITIES.numpy() * len(IDS)).pvalue > 0.001


@pytest.mark.parametrize(
    ("top_k", "top_p"), [(0, 1e-6), (0, 0.3), (0, 0.9), (0, 0.999), (1, 1.0), (50, 1.0), (50, 0.9)]
)
@pytest.mark.parametrize("spread", [0.1, 1.0, 4.0])  # the flattest needs more tokens than are looked at first
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])  # of which many are equal
def test_what_is_kept_of_the_likeliest_is_what_transformers_keeps(
    top_k: int, top_p: float, spread: float, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    scores = (torch.randn(20, 5000) * spread).to(dtype).float()
    rule = Rule(1.0, top_k, top_p, 1.0)
    whole = TopKLogitsWarper(top_k)(None, scores) if top_k else scores
    whole = TopPLogitsWarper(top_p)(None, whole) if top_p < 1 else whole
    for count in (64, 1024):
        values, tokens = scores.topk(count)
        values, enough = rule.kept_among(scores, values)
        kept = torch.full_like(scores, float("-inf")).scatter(-1, tokens, values)
        more = kept.isfinite().sum(-1) - whole.isfinite().sum(-1)
        assert (more[enough].abs() <= (top_p < 1)).all()  # a token at the edge of a nucleus, by rounding
        assert enough[whole.isfinite().sum(-1) < count - 1].all()
        if dtype == torch.float32:
            assert torch.equal(kept[enough & (more == 0)], whole[enough & (more == 0)])
        else:  # which of several equal ones is left open
            found, expected = (each[enough & (more == 0)].sort(-1).values for each in (kept, whole))
            assert torch.equal(found, expected)


@pytest.mark.parametrize(("top_p", "left"), [(0.5, 1), (0.51, 2), (0.8, 2), (0.9, 3), (0.96, 4)])
def test_a_nucleus_is_drawn_from_without_a_sort(top_p: float, left: int) -> None:
    order = torch.tensor([2, 0, 3, 1])
    probabilities = PROBABILITIES[order].expand(len(IDS), -1)
    tokens = drawn_from_nucleus(probabilities, top_p, [stream_of(_decoding(), id) for id in IDS])
    counts = torch.bincount(order[tokens[:, 0]], minlength=4).numpy()
    held = PROBABILITIES[:left].double().numpy()
    expected = held / held.sum() * len(IDS)
    assert not counts[left:].any() and (left == 1 or chisquare(counts[:left], expected).pvalue > 0.001)


def test_whether_few_tokens_or_all_are_looked_at_the_kept_ones_are_drawn_by_their_probabilities() -> None:
    """The flat rows need all of them."""
    torch.manual_seed(0)
    logits = torch.cat([torch.randn(1, 3000) * spread for spread in (8.0, 0.01)]).repeat_interleave(2000, 0)
    rule = {"top_p": 0.5}
    choices = [Choice(_decoding(**rule), id, [1]) for id in IDS]
    chosen = torch.tensor(_chosen(choices, logits)).view(2, -1)
    kept = TopPLogitsWarper(0.5)(None, logits[::2000]).softmax(-1)
    for tokens, probabilities in zip(chosen, kept, strict=True):
        assert (probabilities[tokens] > 0).all()
        halves = probabilities.cumsum(-1) > 0.5  # of the vocabulary, by what they hold
        share = probabilities[halves].sum().item()
        counts = torch.bincount(halves[tokens].long(), minlength=2).numpy()
        expected = [len(tokens) * (1 - share), len(tokens) * share]
        assert min(expected) < 5 or chisquare(counts, expected).pvalue > 0.001


@pytest.mark.parametrize("at_once", [1, 80, 2**21])
def test_rows_are_chosen_for_together_as_alone_and_as_in_transformers_own_loop(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those of other rules beside them, and with texts of other lengths, which a penalty looks at."""
    monkeypatch.setattr(sampling, "_AT_ONCE", at_once)
    torch.manual_seed(0)
    penalty = {"repetition_penalty": 1.7}
    greedy = {"temperature": 0} | penalty
    rules = [{"top_p": 0.5}, {"top_k": 3}, {}, penalty, greedy, {"top_p": 0.5}, greedy]
    decodings = [_decoding(**rule) for rule in rules]
    befores = [torch.randint(0, 40, (2 + row,)).tolist() for row in range(len(rules))]

    def choices() -> list[Choice]:
        made = [Choice.of(*each) for each in zip(decodings, IDS, befores, strict=False)]
        return [each for each in made if each is not None]

    together, alone, texts = choices(), choices(), [list(before) for before in befores]
    theirs = [Choosing(decoding, [id]) for decoding, id in zip(decodings, IDS, strict=False)]
    for _ in range(6):
        logits = torch.randn(len(rules), 40) * 3
        chosen = _chosen(together, logits)
        assert chosen == [choose({row: each}, logits)[row] for row, each in enumerate(alone)]
        assert chosen == [
            int(chain(torch.tensor([text]), logits[row : row + 1]).argmax())
            for row, (chain, text) in enumerate(zip(theirs, texts, strict=True))
        ]
        for text, token in zip(texts, chosen, strict=True):
            text.append(token)


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
