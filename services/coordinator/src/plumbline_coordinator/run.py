"""One experiment as the stages see it: its spec, its tables, its prompts, the services it uses."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import cached_property
from typing import Any

from plumbline_contracts.common import Artifact
from plumbline_contracts.coordinator import PhaseName
from plumbline_contracts.experiment import Arm, ExperimentSpec
from plumbline_kit.artifacts import open_store
from plumbline_kit.client import ServiceClient
from plumbline_kit.errors import ProblemError

from .attempt import Attempt
from .prompting import Prompting
from .rows import Item, Outcome, Recorded
from .settings import Settings
from .sources import Sources
from .store import Store


class Run:
    """Cheap to make; a step makes one. `client` opens a client of a service by name (`judge:NAME` for judges)."""

    def __init__(self, id: str, store: Store, settings: Settings, attempt: int | None = None) -> None:
        """`attempt` is the one whose work this is, by default the newest."""
        self.id, self.store, self.settings, self._number = id, store, settings, attempt
        self._trained: dict[str, Outcome] = {}
        self.artifacts = open_store(settings)
        self.sources = Sources(self.artifacts, settings.datasets_dir, download=settings.hub)

    @cached_property
    def spec(self) -> ExperimentSpec:
        return self.store.spec(self.id)

    @cached_property
    def files(self) -> dict[str, Artifact]:
        return self.store.files(self.id)

    @cached_property
    def attempt(self) -> Attempt:
        return self.store.attempt(self.id, self._number)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        return dict(self.store.get(self.id).manifest)

    @cached_property
    def recorded(self) -> Recorded | None:
        """What is not done but taken from another experiment, if this is such a one."""
        row = self.store.get(self.id)
        return None if row.only is None else Recorded(PhaseName(row.only), row.recorded_in)

    @cached_property
    def prompting(self) -> Prompting:
        return Prompting(self.spec, self.reader(self.files))

    def reader(self, files: dict[str, Artifact]) -> Callable[[str], str]:
        return lambda path: self.sources.uploaded(path, files).read_text("utf-8")

    def arm(self, name: str) -> Arm:
        return next(arm for arm in self.spec.arms if arm.name == name)

    def instructions(self, language: str, items: Sequence[Item]) -> dict[str, Outcome]:
        """By item: {"text": instruction}, or the cause why there is none in this language."""
        foreign = [one.item for one in items if one.translate]
        translated = self.store.outcomes(self.id, PhaseName.TRANSLATE, language, foreign) if foreign else {}
        missing = Outcome("", None, "not translated")
        return {
            one.item: translated.get(one.item, missing)
            if one.translate
            else Outcome(one.item, {"text": one.source, "flags": []})
            for one in items
        }

    def trained(self, name: str) -> Outcome:
        """What became of a training, once its stage has ended."""
        if name not in self._trained:
            self._trained |= self.store.outcomes(self.id, PhaseName.TRAIN, name, [name])
        return self._trained[name]

    def client(
        self, service: str, post: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    ) -> ServiceClient:
        """A client that tries once; waiting and retrying is up to the caller (see waiting.py)."""
        url = service_urls(self.settings).get(service)
        if url is None:  # a judge that was there when the experiment was submitted
            detail = f"The coordinator has no address of {service}; set COORDINATOR_JUDGES."
            raise ProblemError(503, "no-address", detail, retry_after=5)
        timeout = self.settings.request_timeout_s
        return ServiceClient(url, self.settings.token, timeout=timeout, attempts=1, post=post)


def service_urls(settings: Settings) -> dict[str, str]:
    judges = {f"judge:{name}": url for name, url in settings.judge_urls.items()}
    return {
        "translator": settings.translator_url,
        "generator": settings.generator_url,
        "trainer": settings.trainer_url,
        "analyzer": settings.analyzer_url,
        **judges,
    }
