"""Validate an experiment file fully before anything runs: form, references, data, models, judges, language pairs."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from plumbline_contracts import generator, translator
from plumbline_contracts.common import Artifact, Place
from plumbline_contracts.coordinator import PhaseName, SpecCheck, Submission
from plumbline_contracts.experiment import ExperimentSpec
from plumbline_contracts.judge import Rubric, RubricLanguage
from plumbline_kit.errors import ProblemError

from . import judges, jury, panels, recorded
from .items import Items
from .preparation import identified
from .prompting import Prompting, builtin_languages, uses_urial
from .rows import Recorded
from .run import Run
from .settings import Settings
from .stages.train import rendered, used_trainings
from .store import Store
from .yaml_places import SpecText, invalid

_ASK_S = 5.0
Found = TypeVar("Found")


class Draft(Run):
    """An experiment that is not stored: its spec and files come from the submission."""

    def __init__(self, store: Store, settings: Settings, spec: ExperimentSpec, files: dict[str, Artifact]) -> None:
        super().__init__("draft", store, settings)
        self.__dict__ |= {"spec": spec, "files": files, "recorded": None}


@dataclass
class Checked:
    spec: ExperimentSpec
    check: SpecCheck
    draft: Draft
    items: Items | None  # null where a data set is not here

    @property
    def counted(self) -> Counter[tuple[str, str, bool]]:
        return Counter() if self.items is None else self.items.counted

    @property
    def recorded(self) -> Recorded | None:
        return self.draft.recorded


async def check(submission: Submission, store: Store, settings: Settings, *, to_run: bool) -> Checked:
    """The spec and what it would do, or the problem `invalid-spec` with every fault and its place.

    A hub data set that cannot be had here is a fault when the experiment is to run, otherwise a warning.
    """
    text = await asyncio.to_thread(SpecText, submission.spec, submission.source)
    spec = await asyncio.to_thread(text.parse)
    faults = [text.fault(path, message) for path, message in _references(spec, settings)]
    if not submission.reuse:
        spec = spec.model_copy(update={"reuse": False})
    draft = Draft(store, settings, spec, submission.files)
    warnings: list[str] = []
    absent = faults if to_run else list[Place]()
    items = None if faults else await asyncio.to_thread(_read, draft, text, faults, absent)
    if not to_run:
        warnings += [f"{fault.place}: {fault.message} Its rows were not checked nor counted." for fault in absent]
    if submission.only is not None and not faults:
        draft.recorded = await asyncio.to_thread(recorded.find, store, submission, spec)
    if not faults:
        await _ask_services(draft, items, text, faults, warnings)
    if faults:
        raise invalid(faults)
    return Checked(spec, await asyncio.to_thread(_plan, draft, items, warnings), draft, items)


def _references(spec: ExperimentSpec, settings: Settings) -> Iterator[tuple[list[str | int], str]]:
    """What names something that is not there."""
    for index, name in _repeated([arm.name for arm in spec.arms]):
        yield ["arms", index, "name"], f"{name!r} is the name of an arm before"
    for index, name in _repeated(spec.languages):
        yield ["languages", index], f"{name!r} is given twice"
    for index, name in _repeated([choice.name for choice in spec.judges]):
        yield ["judges", index, "name"], f"{name!r} is named twice"
    for training_name, training in spec.trainings.items():
        if training.model not in spec.models:
            yield ["trainings", training_name, "model"], _unknown("model", training.model, spec.models)
    for index in range(len(spec.arms)):
        for field, message in _arm_faults(spec, index):
            yield ["arms", index, field], message
    for index, choice in enumerate(spec.judges):
        if choice.name not in settings.judge_urls:
            yield ["judges", index, "name"], _unknown("judge", choice.name, settings.judge_urls)
    yield from panels.faults(spec)
    for language in spec.dataset.native:
        if language not in spec.languages:
            yield ["dataset", "native", language], f"{language!r} is not among the languages"
    yield from _prompt_faults(spec)


def _arm_faults(spec: ExperimentSpec, index: int) -> Iterator[tuple[str, str]]:
    arm = spec.arms[index]
    family = spec.models.get(arm.model)
    if family is None:
        yield "model", _unknown("model", arm.model, spec.models)
    elif arm.weights == "instruct" and family.instruct is None:
        yield "weights", f"the model {arm.model!r} has no instruct weights"
    if arm.weights not in ("base", "instruct", *spec.trainings):
        yield "weights", _unknown("training", arm.weights, ["base", "instruct", *spec.trainings])
    elif arm.weights in spec.trainings and spec.trainings[arm.weights].model != arm.model:
        yield "weights", f"the training {arm.weights!r} is of the model {spec.trainings[arm.weights].model!r}"


def _prompt_faults(spec: ExperimentSpec) -> Iterator[tuple[list[str | int], str]]:
    urial = spec.prompts.urial
    have = {*builtin_languages(), *urial.files}
    if not uses_urial(spec):
        return
    for index, language in enumerate(["en"] if urial.demonstrations == "en" else spec.languages):
        if language not in have:
            yield (
                ["languages", index],
                f"there is no URIAL prompt in {language!r}; give one in prompts.urial.files, or set "
                f"prompts.urial.demonstrations to en (there are: {', '.join(sorted(have))})",
            )


def _repeated(names: list[str]) -> list[tuple[int, str]]:
    return [(index, name) for index, name in enumerate(names) if name in names[:index]]


def _unknown(kind: str, name: str, have: object) -> str:
    return f"there is no {kind} {name!r}; there are: {', '.join(sorted(have)) or 'none'}"  # type: ignore[call-overload]


def _read(draft: Draft, text: SpecText, faults: list[Place], absent: list[Place]) -> Items | None:
    """Read every file once; faults in data stand at their own file and line. `absent`: hub data that is not here."""
    spec = draft.spec

    def attempt(path: list[str | int], read: Callable[[], Found]) -> Found | None:
        try:
            return read()
        except ProblemError as error:
            if error.status == 503:  # the artifact store is away, which is no fault of the file
                raise
            found = absent if error.kind == "unknown-dataset" else faults
            found.extend(error.errors or [text.fault(path, error.detail)])
        except UnicodeDecodeError as error:
            faults.append(text.fault(path, f"is not UTF-8 text: {error}"))
        return None

    items = attempt(["dataset"], lambda: Items(spec, draft.files, draft.sources))
    attempt(["prompts"], lambda: Prompting(spec, draft.reader(draft.files)))
    for index, choice in enumerate(spec.judges):
        if choice.calibration is not None:
            attempt(["judges", index, "calibration"], partial(jury.calibration, draft, choice))
    for name in used_trainings(spec):
        attempt(["trainings", name, "data"], lambda name=name: _read_training(draft, name))  # type: ignore[misc]
    return items


def _read_training(draft: Draft, name: str) -> None:
    training = draft.spec.trainings[name]
    rows = draft.sources.rows(training.data, draft.files)
    if not [rendered(draft, training, place, row) for place, row in rows]:
        raise ProblemError(422, "no-items", "there is no row in the training data")


async def _ask_services(
    draft: Draft, items: Items | None, text: SpecText, faults: list[Place], warnings: list[str]
) -> None:
    """Models, language pairs and rubrics, as far as the services can be asked now."""
    asks: dict[str, Callable[..., Awaitable[None]]] = {"generator": _models, "translator": _pairs}
    if draft.recorded is not None:
        asks = {}
    if draft.recorded is None or draft.recorded.only is PhaseName.JUDGE:
        asks |= {f"judge {one.name}": partial(_judge, index) for index, one in enumerate(draft.spec.judges)}
    for service, ask in asks.items():
        try:
            async with asyncio.timeout(_ASK_S):
                await ask(draft, items, text, faults, warnings)
        except (ProblemError, TimeoutError) as error:
            cause = str(error) or f"no answer within {_ASK_S:g} s"
            warnings.append(f"{service}: could not be asked, so what is there was not checked: {cause}")


async def _models(draft: Draft, _: Items | None, text: SpecText, faults: list[Place], warnings: list[str]) -> None:
    async with draft.client("generator") as client:
        have = [one.name for one in (await client.call("GET", "/v1/models", generator.Models)).models]
    for name, family in draft.spec.models.items():
        for kind, reference in (("base", family.base), ("instruct", family.instruct)):
            if reference is None or reference in have or reference.startswith("artifact:"):
                continue
            if "/" in reference:
                warnings.append(f"The model {reference!r} is not on this machine; it has to come from the hub.")
            else:
                faults.append(text.fault(["models", name, kind], _unknown("model", reference, have)))


async def _pairs(draft: Draft, items: Items | None, text: SpecText, faults: list[Place], _: list[str]) -> None:
    counted = {} if items is None else await asyncio.to_thread(lambda: items.counted)
    targets = {language for language, _, translate in counted if translate}
    if not targets:
        return
    async with draft.client("translator") as client:
        pairs = (await client.call("GET", "/v1/languages", translator.Languages)).pairs
    source, have = draft.spec.dataset.language, {(pair.source, pair.target) for pair in pairs}
    for index, target in enumerate(draft.spec.languages):
        if target in targets and have and (source, target) not in have:
            known = ", ".join(sorted(f"{a} to {b}" for a, b in have))
            message = f"the translator does not translate {source} to {target}; it has {known}"
            faults.append(text.fault(["languages", index], message))


async def _judge(index: int, draft: Draft, _: Items | None, text: SpecText, faults: list[Place], __: list[str]) -> None:
    """What answers, but not as a judge, is a fault: this experiment would wait for scores that never come."""
    choice = draft.spec.judges[index]
    service = f"judge:{choice.name}"
    async with draft.client(service) as client:
        try:
            await identified(client, service)
            have = await judges.rubrics(client)
        except ProblemError as error:
            if not judges.never_passes(error):
                raise
            wrong = f"{error.detail.rstrip('.')}. It must answer contracts/openapi/judge.v1.json;"
            advice = f"{wrong} `plumbline conform judge --url {client.url}` says what is missing."
            faults.append(text.fault(["judges", index], advice))
            return
    for category, rubric in choice.rubrics.items():
        if rubric not in have:
            faults.append(text.fault(["judges", index, "rubrics", category], _unknown("rubric", rubric, have)))
        elif choice.rubric_language is RubricLanguage.RESPONSE:
            _has_a_text(index, have[rubric], draft.spec.languages, text, faults)


def _has_a_text(index: int, rubric: Rubric, languages: list[str], text: SpecText, faults: list[Place]) -> None:
    if lacking := [one for one in languages if one not in rubric.languages]:
        has = f"it has {', '.join(rubric.languages)}"
        message = f"the rubric {rubric.name!r} has no text in {', '.join(lacking)}; {has}"
        faults.append(text.fault(["judges", index, "rubric_language"], message))


def _plan(draft: Draft, items: Items | None, warnings: list[str]) -> SpecCheck:
    spec = draft.spec
    per_language, categories, translations = Counter[str](), Counter[str](), 0
    for (language, category, translate), count in ({} if items is None else items.counted).items():
        per_language[language] += count
        categories[category] += count
        translations += translate * count
    judged = sum(categories[category] for choice in spec.judges for category in choice.rubrics)
    unjudged = sorted(set(categories) - {category for choice in spec.judges for category in choice.rubrics})
    if unjudged:
        warnings.append(f"No judge has a rubric for items of category {', '.join(unjudged)}: they are not judged.")
    if draft.recorded is not None:
        warnings.append(f"What comes before the phase {draft.recorded.only} is taken from {draft.recorded.source}.")
    judges = draft.recorded is None or draft.recorded.only is PhaseName.JUDGE
    anew = draft.recorded is None
    return SpecCheck(
        items={language: per_language[language] for language in spec.languages},
        translations=anew * translations,
        trainings=anew * len(used_trainings(spec)),
        generations=anew * len(spec.arms) * per_language.total(),
        judgments=judges * len(spec.arms) * judged,
        warnings=warnings,
    )
