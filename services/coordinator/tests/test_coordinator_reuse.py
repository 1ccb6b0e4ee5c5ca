"""Keys: another one for everything that determines an answer, the same one for what does not; and what is kept."""

import asyncio
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from plumbline_contracts import analyzer, generator, judge, translator
from plumbline_contracts.coordinator import PhaseName, Submission
from plumbline_contracts.experiment import ExperimentSpec
from plumbline_coordinator import reuse as reuse_module
from plumbline_coordinator.check import Draft
from plumbline_coordinator.recorded import find
from plumbline_coordinator.reuse import Keys, Reuse, digest
from plumbline_coordinator.rows import Outcome
from plumbline_coordinator.settings import Settings
from plumbline_coordinator.stages import STAGES
from plumbline_coordinator.stages.stage import Loaded, Stage
from plumbline_coordinator.store import Store
from plumbline_coordinator.waiting import Tell
from plumbline_kit.errors import ProblemError

SPEC = {
    "name": "test",
    "languages": ["en", "fr"],
    "dataset": {"path": "items.jsonl"},
    "models": {"tiny": {"base": "tiny-base", "instruct": "tiny-instruct"}},
    "arms": [{"name": "arm", "model": "tiny"}],
    "decoding": {"max_new_tokens": 8},
}
INFO = {
    "contract": "c/1.0.0",
    "implementation": "i",
    "version": "1.0.0",
    "model": "m",
    "revision": "r",
    "description": "d",
}
IDENTITY = {"model": "tiny-base", "weights_sha256": "0" * 64, "engine": "e", "engine_version": "1", "source": None}
SAID: dict[str, dict[str, Any]] = {
    "/info": INFO,
    "/v1/models/identity": IDENTITY,
    "/v1/languages": {"pairs": [{"source": "en", "target": "fr", "package": "p", "revision": "1"}]},
    "/v1/rubrics": {
        "rubrics": [{"name": "just-eval-multi", "version": "1", "aspects": [], "languages": [], "compat": None}]
    },
}
UNITS = {"translate": "fr", "generate": "arm/fr", "detect": "arm/fr", "judge": "judge/regular/arm/fr"}
INPUTS: dict[str, Any] = {
    "translate": translator.SourceText(id="1", text="Hello."),
    "generate": generator.Prompt(id="1", text="Hello."),
    "detect": analyzer.DetectionItem(id="1", instruction="Hello.", response="Hi.", language="fr"),
    "judge": judge.JudgmentItem(id="1", instruction="Hello.", response="Hi.", language="fr"),
}


def key(store: Store, stage: str, *, spec: Any = None, said: Any = None, input: Any = None) -> bytes:
    """Of an input of a stage; `said` are changes of what services say, by path."""
    settings = Settings(PLUMBLINE_ARTIFACTS_DIR=Path(str(store.engine.url.database)).parent)
    run = Draft(store, settings, ExperimentSpec.model_validate(SPEC | (spec or {})), {})
    subject: Stage = STAGES[PhaseName(stage)]

    async def asked(service: str, path: str, answer: Any, **query: str) -> Any:
        return answer.model_validate(SAID[path] | (said or {}).get(path, {}) | query)

    identity = asyncio.run(subject.identity(run, UNITS[stage], asked))
    content = subject.content(run, UNITS[stage], INPUTS[stage].model_copy(update=input or {}))
    return digest([digest([stage, identity]).hex(), content])


SAMPLED = {"decoding": {"max_new_tokens": 8, "temperature": 1}}
URIAL = {"arms": [{"name": "arm", "model": "tiny", "prompting": "urial"}]}
OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("translate", {"input": {"text": "Hullo."}}),
    ("translate", {"said": {"/info": {"version": "1.0.1"}}}),
    ("translate", {"said": {"/v1/languages": {"pairs": [SAID["/v1/languages"]["pairs"][0] | {"revision": "2"}]}}}),
    ("generate", {"input": {"text": "Hullo."}}),
    ("generate", {"said": {"/v1/models/identity": {"weights_sha256": "1" * 64}}}),
    ("generate", {"said": {"/v1/models/identity": {"weights_sha256": None}}}),
    ("generate", {"said": {"/v1/models/identity": {"engine_version": "2"}}}),
    ("generate", {"said": {"/info": {"version": "1.0.1"}}}),
    ("generate", {"spec": {"decoding": {"max_new_tokens": 8, "seed": 1}}}),
    ("generate", {"spec": {"decoding": {"max_new_tokens": 8, "stop": ["\n"]}}}),
    ("generate", {"spec": {"decoding": {"max_new_tokens": 8, "stop_loops": None}}}),
    ("generate", {"spec": {"decoding": {"max_new_tokens": 8, "stop_loops": {"audit_share": 0.1}}}}),
    ("generate", {"spec": URIAL}),
    ("generate", {"spec": SAMPLED}),
    ("detect", {"input": {"response": "Ha."}}),
    ("detect", {"input": {"finish_reason": "length"}}),
    ("detect", {"said": {"/info": {"description": "detectors 2"}}}),
    ("judge", {"input": {"reference": "Hi."}}),
    ("judge", {"said": {"/info": {"model": "n"}}}),
    ("judge", {"said": {"/info": {"version": "1.0.1"}}}),
    ("judge", {"said": {"/v1/rubrics": {"rubrics": [SAID["/v1/rubrics"]["rubrics"][0] | {"version": "2"}]}}}),
]
SAME: list[tuple[str, dict[str, Any]]] = [
    ("translate", {"input": {"id": "2"}}),
    ("translate", {"said": {"/info": {"model": "one more package", "revision": "of all packages"}}}),
    ("generate", {"input": {"id": "2"}}),
    ("generate", {"spec": {"name": "other", "description": "x", "languages": ["fr"], "analysis": {"seed": 3}}}),
    ("generate", {"spec": {"models": {"tiny": {"base": "the-same-weights"}}}, "said": {}}),
    ("generate", {"spec": {"decoding": {"max_new_tokens": 8, "stop_loops": {"min_repeats": 6}}}}),
    ("detect", {"input": {"id": "2"}}),
    ("judge", {"input": {"id": "2"}, "said": {"/info": {"contract": "c/1.1.0"}}}),
]


@pytest.mark.parametrize(("stage", "change"), OTHERS)
def test_what_determines_an_answer_makes_another_key(store: Store, stage: str, change: dict[str, Any]) -> None:
    assert key(store, stage, **change) != key(store, stage)


@pytest.mark.parametrize(("stage", "change"), SAME)
def test_what_does_not_leaves_the_key(store: Store, stage: str, change: dict[str, Any]) -> None:
    assert key(store, stage, **change) == key(store, stage)


def test_what_is_off_is_not_in_the_key_so_that_answers_of_before_it_could_be_said_still_count(store: Store) -> None:
    spec = ExperimentSpec.model_validate(SPEC | {"decoding": {"max_new_tokens": 8, "stop_loops": None}})
    run = Draft(store, Settings(PLUMBLINE_ARTIFACTS_DIR=Path(str(store.engine.url.database)).parent), spec, {})

    async def asked(service: str, path: str, answer: Any, **query: str) -> Any:
        return answer.model_validate(SAID[path] | query)

    *_, decoding, _ = asyncio.run(STAGES[PhaseName.GENERATE].identity(run, "arm/fr", asked))
    assert decoding == {
        "max_new_tokens": 8, "temperature": 0, "top_p": 1, "top_k": 0, "repetition_penalty": 1, "stop": [], "seed": 0
    }  # fmt: skip


def test_random_numbers_are_made_from_the_id_of_a_prompt(store: Store) -> None:
    assert key(store, "generate", spec=SAMPLED, input={"id": "2"}) != key(store, "generate", spec=SAMPLED)


def test_without_a_digest_the_name_and_the_server_tell_weights_apart(store: Store) -> None:
    def at(source: str, model: str = "tiny-base") -> dict[str, Any]:
        said = {"/v1/models/identity": {"weights_sha256": None, "source": source}}
        return {"said": said, "spec": {"models": {"tiny": {"base": model}}}}

    keys = [key(store, "generate", **at(*where)) for where in (("a",), ("b",), ("a", "other"))]
    assert len(set(keys)) == 3


def test_who_answers_is_asked_once_for_all_units_and_anew_after_a_moment(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[str]()

    class Analyzer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            said = json.dumps(INFO | {"description": f"detectors {len(asked)}"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None: ...

    async def tell(message: str | None) -> None:
        raise AssertionError(message)

    async def identities(reuse: Reuse) -> list[str | None]:
        looked_up = [reuse.look_up(unit, Loaded({"1": INPUTS["detect"]})) for unit in ("arm/en", "arm/fr", "arm/en")]
        return [keys.identity for keys in await asyncio.gather(*looked_up)]

    with ThreadingHTTPServer(("127.0.0.1", 0), Analyzer) as server:
        Thread(target=server.serve_forever).start()
        where = {"PLUMBLINE_ARTIFACTS_DIR": tmp_path, "analyzer_url": f"http://127.0.0.1:{server.server_port}"}
        run = Draft(store, Settings(**where), ExperimentSpec.model_validate(SPEC), {})
        monkeypatch.setattr(reuse_module, "_FRESH_S", 60.0)
        fresh = asyncio.run(identities(Reuse(run, STAGES[PhaseName.DETECT], Tell(tell))))
        assert (asked, len(set(fresh))) == (["/info"], 1)
        monkeypatch.setattr(reuse_module, "_FRESH_S", 0.0)
        assert not {*fresh} & {*asyncio.run(identities(Reuse(run, STAGES[PhaseName.DETECT], Tell(tell))))}
        server.shutdown()


def judged(*causes: str | None) -> dict[str, Any]:
    unscored = [None if cause is None else {"cause": cause, "detail": ""} for cause in causes]
    return {"scores": [{"score": 3 if one is None else None, "unscored": one} for one in unscored]}


@pytest.mark.parametrize(
    ("outcome", "kept"),
    [
        (Outcome("1", judged(None, None)), True),
        (Outcome("1", judged(None, "missing_aspect")), True),
        (Outcome("1", judged(None, "backend_unavailable")), False),
        (Outcome("1", judged(None, "backend_refused")), False),
        (Outcome("1", judged("unparsable_reply"), "unparsable_reply: ..."), False),
        (Outcome("1", None, "the service's answer lacks this item"), False),
    ],
)
def test_failures_and_outages_are_not_kept(store: Store, tmp_path: Path, outcome: Outcome, kept: bool) -> None:
    run = Draft(store, Settings(PLUMBLINE_ARTIFACTS_DIR=tmp_path), ExperimentSpec.model_validate(SPEC), {})

    async def tell(message: str | None) -> None:
        raise AssertionError(message)

    (marked,) = Reuse(run, STAGES[PhaseName.JUDGE], tell)._marked(Keys("k", {"1": b"key"}), [outcome])
    assert (marked.key is not None) == kept


def test_an_answer_is_found_in_another_experiment_and_the_newest_counts(store: Store) -> None:
    for id in ("a", "b", "c"):
        store.create(id, ExperimentSpec.model_validate(SPEC), "text", "a.yaml", {}, "0" * 64)
        store.attempt(id).save(PhaseName.GENERATE, [("arm/fr", [Outcome("1", {"of": id}, key=b"k")])])
    assert store.answered("c", [b"k", b"other"]) == {b"k": Outcome("1", {"of": "b"}, origin="b")}
    store.attempt("c").save(PhaseName.DETECT, [("arm/fr", [Outcome("1", {"of": "b"}, origin="b")])])
    assert store.origins("c") == {"detect": {"b": 1}}
    assert (store.phases("c")["detect"].reused, store.phases("c")["generate"].reused) == (1, 0)


def test_weights_that_are_gone_are_trained_again(store: Store, tmp_path: Path) -> None:
    run = Draft(store, Settings(PLUMBLINE_ARTIFACTS_DIR=tmp_path), ExperimentSpec.model_validate(SPEC), {})
    kept, train = run.artifacts.put_bytes(b"weights", "dpo"), STAGES[PhaseName.TRAIN]
    assert train.lasts(run, {"weights": kept.model_dump()})
    (tmp_path / kept.uri.removeprefix("artifact:")).unlink()
    assert not train.lasts(run, {"weights": kept.model_dump()})


def test_only_an_experiment_whose_phases_have_ended_has_recorded_something(store: Store) -> None:
    spec = ExperimentSpec.model_validate(SPEC)
    store.create("a", spec, "text", "a.yaml", {}, "0" * 64)
    with pytest.raises(ProblemError, match="did not record") as raised:
        find(store, Submission(spec="x", only="judge", recorded_in="a"), spec)
    assert "generate" in raised.value.errors[0].message or "detect" in raised.value.errors[0].message
