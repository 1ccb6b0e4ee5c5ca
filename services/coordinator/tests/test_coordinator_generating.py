"""What the generator is asked, in which order, and what is kept of its answers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plumbline_contracts.analyzer import DetectionRequest
from plumbline_contracts.coordinator import ExperimentState, PhaseName, Usage
from plumbline_contracts.experiment import ExperimentSpec
from plumbline_contracts.generator import Generation, GenerationResponse, StopLoops
from plumbline_coordinator import accounting
from plumbline_coordinator.accounting import used
from plumbline_coordinator.check import Draft
from plumbline_coordinator.progress import progress
from plumbline_coordinator.rows import Item, Outcome
from plumbline_coordinator.run import Run
from plumbline_coordinator.settings import Settings
from plumbline_coordinator.stages import STAGES
from plumbline_coordinator.stages.generate import _outcome, responses
from plumbline_coordinator.store import Store
from plumbline_coordinator.tables import experiment
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError

SPEC: dict[str, Any] = {
    "name": "test",
    "languages": ["en", "fr"],
    "dataset": {"path": "items.jsonl"},
    "models": {"tiny": {"base": "tiny-base", "instruct": "tiny-instruct"}, "same": {"base": "tiny-base"}},
    "arms": [{"name": "arm", "model": "tiny"}],
    "decoding": {"max_new_tokens": 8},
}


@pytest.fixture
def run(store: Store, tmp_path: Path) -> Callable[..., Run]:
    """One whose experiment is not stored."""

    def make(**changes: Any) -> Run:
        spec = ExperimentSpec.model_validate(SPEC | changes)
        return Draft(store, Settings(PLUMBLINE_ARTIFACTS_DIR=tmp_path), spec, {})

    return make


def test_units_of_the_same_weights_and_prefix_follow_each_other(run: Callable[..., Run]) -> None:
    arms = [
        {"name": "zero-shot", "model": "tiny"},
        {"name": "instruct", "model": "tiny", "weights": "instruct", "prompting": "chat"},
        {"name": "URIAL", "model": "tiny", "prompting": "urial"},
        {"name": "again", "model": "same", "prompting": "urial"},
    ]
    units = [unit for unit, _ in STAGES[PhaseName.GENERATE].units(run(arms=arms))]
    assert units == [
        *("zero-shot/en", "zero-shot/fr"),
        *("URIAL/en", "again/en", "URIAL/fr", "again/fr"),
        *("instruct/en", "instruct/fr"),
    ]
    english = run(arms=arms, prompts={"urial": {"demonstrations": "en"}})
    assert [unit for unit, _ in STAGES[PhaseName.GENERATE].units(english)][2:6] == [
        *("URIAL/en", "URIAL/fr", "again/en", "again/fr")
    ]


def test_what_has_no_response_or_no_instruction_is_no_response(run: Callable[..., Run], store: Store) -> None:
    draft = run()
    store.create(draft.id, draft.spec, "", "a.yaml", {}, "0" * 64)
    attempt = store.attempt(draft.id)
    attempt.add_items([Item("fr", name, at, "regular", [], "Hi.", name != "3", None) for at, name in enumerate("123")])
    attempt.save(
        PhaseName.TRANSLATE, [("fr", [Outcome("1", {"text": "Salut.", "flags": []}), Outcome("2", None, "?")])]
    )
    given = [Outcome("1", {"text": "Oui."}), Outcome("2", {"text": "Non."}), Outcome("3", None, "?")]
    attempt.save(PhaseName.GENERATE, [("arm/fr", given)])
    found = [(one.item, instruction, body) for one, instruction, body in responses(draft, "arm/fr", ["1", "2", "3"])]
    assert found == [("1", "Salut.", {"text": "Oui."})]


def test_an_experiment_ends_loops_unless_it_says_otherwise_or_was_stored_before(
    run: Callable[..., Run], store: Store
) -> None:
    assert run().spec.decoding.stop_loops == StopLoops(audit_share=0.05)
    assert run(decoding={"max_new_tokens": 8, "stop_loops": None}).spec.decoding.stop_loops is None
    draft = run()
    store.create(draft.id, draft.spec, "", "a.yaml", {}, "0" * 64)
    assert store.spec(draft.id).decoding == draft.spec.decoding
    with store.engine.begin() as connection:
        old = draft.spec.model_dump(mode="json", exclude={"decoding": {"stop_loops"}})
        connection.execute(update(experiment).values(resolved=old))
    assert store.spec(draft.id).decoding.stop_loops is None


LOOP = {"onset": 4, "period": 3, "met_at": 10, "tokens_saved": 0}


@pytest.mark.parametrize(
    ("more", "ended"),
    [
        ({}, None),  # as it was kept before there were audits
        ({"audited": False, "loop": LOOP}, None),
        ({"audited": True, "loop": None}, None),
        ({"audited": True, "loop": LOOP}, "Well. a, a"),
    ],
)
def test_an_audited_loop_is_looked_at_as_it_would_have_been_ended(
    run: Callable[..., Run], store: Store, more: dict[str, Any], ended: str | None
) -> None:
    draft = run(languages=["en"])
    store.create(draft.id, draft.spec, "", "a.yaml", {}, "0" * 64)
    attempt, stage = store.attempt(draft.id), STAGES[PhaseName.DETECT]
    attempt.add_items([Item("en", "1", 0, "regular", [], "Hi.", False, None)])
    body = {"text": "Well. a, a, a, a, a, ", "finish_reason": "length"} | more
    attempt.save(PhaseName.GENERATE, [("arm/en", [Outcome("1", body)])])
    examined = stage.load(draft, "arm/en", ["1"]).inputs["1"]
    assert examined.ended == ended
    assert "ended" not in DetectionRequest(items=[examined]).model_dump_json()
    assert stage.content(draft, "arm/en", examined)["ended"] == ended


def generation(**changes: Any) -> Generation:
    given = {
        "id": "1", "text": "a", "raw_text": "a", "finish_reason": "eos", "prompt_tokens": 100, "completion_tokens": 7,
        "cached_prompt_tokens": 90, "prompt_sha256": None, "loop": None, "audited": False, "logprobs": None,
        "prompt_logprobs": None, "cause": None,
    }  # fmt: skip
    return Generation.model_validate(given | changes)


def test_tokens_are_summed_by_arm_and_language_over_attempts(run: Callable[..., Run], store: Store) -> None:
    draft = run()
    store.create(draft.id, draft.spec, "", "a.yaml", {}, "0" * 64)
    looped = generation(finish_reason="loop", loop=LOOP | {"tokens_saved": 30}, cached_prompt_tokens=None)
    let_run = generation(finish_reason="length", audited=True, loop=LOOP | {"tokens_saved": 30})
    batches = [
        ("arm/fr", [Outcome("1", {}, used=used(generation())), Outcome("2", {}, used=used(looped))]),
        ("arm/en", [Outcome("1", {}, used=used(let_run))]),
        ("arm/fr", [Outcome("3", {}, used=used(generation())), Outcome("4", {}, origin="other", used=None)]),
    ]
    store.attempt(draft.id).save(PhaseName.GENERATE, batches, calls=2)
    store.attempt(draft.id).pause("request", "Paused.")
    assert store.resume(draft.id)
    store.attempt(draft.id).save(PhaseName.GENERATE, [("arm/en", [Outcome("2", {}, used=used(generation()))])], calls=1)
    english, french = store.usage(draft.id)
    assert english == Usage(
        arm="arm", language="en", prompt_tokens=200, cached_prompt_tokens=180, computed_prompt_tokens=20,
        completion_tokens=14, tokens_saved=0,
    )  # fmt: skip
    assert (french.prompt_tokens, french.completion_tokens, french.tokens_saved) == (300, 21, 30)
    assert french.hit_rate == pytest.approx(0.9)  # of the prompts of which it is known
    spent = store.get(draft.id).tokens
    assert spent == sum(one.prompt_tokens + one.completion_tokens for one in (english, french))
    assert progress(store, store.get(draft.id)).usage == [english, french]


def test_what_is_not_kept_is_not_counted(run: Callable[..., Run], store: Store) -> None:
    """Rows, counts and costs are one transaction: a kill leaves all of them or none."""
    draft = run()
    store.create(draft.id, draft.spec, "", "a.yaml", {}, "0" * 64)
    attempt, batch = store.attempt(draft.id), [("arm/fr", [Outcome("1", {}, used=used(generation()))])]
    with store.engine.begin() as connection:
        connection.execute(
            text("create trigger broken before insert on usage begin select raise(abort, 'killed'); end")
        )
    with pytest.raises(IntegrityError):
        attempt.save(PhaseName.GENERATE, batch, calls=1)
    assert (store.usage(draft.id), store.get(draft.id).tokens) == ([], 0)
    assert store.done(draft.id, PhaseName.GENERATE, "arm/fr", ["1"]) == set()
    with store.engine.begin() as connection:
        connection.execute(text("drop trigger broken"))
    attempt.end(ExperimentState.CANCELLED)
    attempt.save(PhaseName.GENERATE, batch, calls=1)
    assert store.usage(draft.id) == []


@pytest.mark.parametrize(("reason", "tokens"), [("error", 0), ("cancelled", 107)])
def test_what_was_cancelled_was_paid_for(run: Callable[..., Run], reason: str, tokens: int) -> None:
    answer = GenerationResponse(
        model="m", weights_sha256=None, engine="e", engine_version="1", generations=[generation(finish_reason=reason)]
    )
    outcome = _outcome(run(), "zero-shot", answer.generations[0], answer)
    assert outcome.body is None and accounting.tokens(outcome.used or {}) == tokens
