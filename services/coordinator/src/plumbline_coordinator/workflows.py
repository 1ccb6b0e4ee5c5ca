"""An experiment as a durable workflow: prepare, stages in turns at services, analyze. All but its order is in steps."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import cast

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetWorkflowID
from plumbline_contracts.coordinator import ExperimentState, PhaseName
from plumbline_kit.errors import ProblemError

from . import analysis, preparation
from .database import LONGEST_SLEEP_S, NETWORK, workflow_database
from .flow import Flow
from .lease import Claim
from .pausing import pause, pause_if_needed
from .repeating import Repeating
from .run import Run
from .settings import Settings
from .stages import STAGES
from .stages.stage import chunks
from .store import Store
from .takeover import FLOW_VERSION, look_after, workflow_id
from .turn import Turn
from .turns import Turns
from .waiting import Stuck, Tell
from .waking import wake

log = logging.getLogger(__name__)
_EXPERIMENTS = "experiments"
_POLL_S = 0.2
_LOOK_AFTER_S = 0.5
_WAKE_S = 5.0
_WITHOUT_END = 10_000_000  # tries: a database is waited for as long as a service is


class Workflows:
    """Starts and cancels the workflows. One instance per process: the engine keeps a global registry."""

    def __init__(self, store: Store, settings: Settings, claim: Claim) -> None:
        self.store, self.settings, self.claim = store, settings, claim
        sqlite = settings.database_url.startswith("sqlite")
        arguments = {} if sqlite else {"connect_args": NETWORK | {"application_name": claim.session("workflows")}}
        DBOS(
            config=DBOSConfig(
                name="plumbline-coordinator",
                system_database_url=workflow_database(settings.database),
                executor_id=claim.holder,
                application_version=FLOW_VERSION,
                sys_db_pool_size=2 if sqlite else 10,
                db_engine_kwargs=arguments,
                sys_db_idle_transaction_timeout_sec=LONGEST_SLEEP_S,
                serializer=DBOSPortableJSONSerializer(),  # the default, pickle, would run what a database row says
                log_level="WARNING",
                notification_listener_polling_interval_sec=_POLL_S,
            )
        )
        self._register()
        self.flows: dict[str, Flow] = {}
        self.turns = Turns(store.engine, claim)
        self._looking_after = Repeating("look after the others", _LOOK_AFTER_S, self._look_after)
        self._waking = Repeating("wake what is paused", _WAKE_S, self._wake)

    async def launch(self) -> None:
        """Go on with what was running when the last process ended. The claim must be acquired."""
        if self.store.engine.dialect.name == "sqlite":  # else they may be those of living processes; see takeover.py
            await asyncio.to_thread(self.store.forget_messages)
        await asyncio.to_thread(DBOS.launch)
        await DBOS.register_queue_async(_EXPERIMENTS, polling_interval_sec=_POLL_S)
        await asyncio.to_thread(self._look_after)
        self._looking_after.start()
        self._waking.start()

    async def start(self, id: str, attempt: int) -> None:
        """Repeating it is harmless: an attempt is one workflow."""
        await asyncio.to_thread(self._start, id, attempt)

    def _start(self, id: str, attempt: int) -> None:
        with SetWorkflowID(workflow_id(id, attempt)):
            DBOS.enqueue_workflow(_EXPERIMENTS, self.experiment, id, attempt)

    async def cancel(self, id: str, attempt: int) -> None:
        # Under flow-2, in a process of an earlier version, a turn was a child.
        await DBOS.cancel_workflow_async(workflow_id(id, attempt), cancel_children=True)

    def close(self) -> None:
        """Stop, and leave what is under way to those who have the claim next: it must be released after this."""
        self._waking.stop()
        self._looking_after.stop()
        DBOS.destroy()

    def _look_after(self) -> None:
        self.turns.tidy()
        look_after(self.store, self.claim, self._start)

    def _wake(self) -> None:
        wake(self.store, self.settings, self._start)

    def _register(self) -> None:
        """Workflows and steps are closures over this process's store, so that nothing is registered at import."""
        step = partial(
            DBOS.step,
            retries_allowed=True,
            interval_seconds=5.0,
            backoff_rate=1.0,
            max_attempts=_WITHOUT_END,
            should_retry=_may_pass,
        )

        @step(name="prepare", preemptible=True)
        async def prepare(id: str, attempt: int) -> None:
            await self._phase(self._run(id, attempt), PhaseName.PREPARE, preparation.prepare)

        @step(name="plan")
        async def plan(id: str, attempt: int, name: str) -> list[str]:
            """The services that the stage calls."""
            return await asyncio.to_thread(self._plan, self._run(id, attempt), PhaseName(name))

        @step(name="work", preemptible=True)
        async def work(id: str, attempt: int, name: str, service: str) -> bool:
            """A turn at a service: whether nothing is left there."""
            # One at a time, so that what limits the requests to a service does so for all replicas together.
            async with self.turns.at(service):
                return await self._work(self._run(id, attempt), PhaseName(name), service)

        @step(name="close_phase")
        async def close_phase(id: str, attempt: int, name: str) -> None:
            await asyncio.to_thread(self._run(id, attempt).attempt.end_phase, PhaseName(name))

        @step(name="analyze", preemptible=True)
        async def analyze(id: str, attempt: int) -> None:
            await self._phase(self._run(id, attempt), PhaseName.ANALYZE, analysis.analyze)

        @step(name="end")
        async def end(id: str, attempt: int, cause: str | None) -> None:
            state = ExperimentState.COMPLETED if cause is None else ExperimentState.FAILED
            await asyncio.to_thread(self._run(id, attempt).attempt.end, state, cause)

        @DBOS.workflow(name="experiment", max_recovery_attempts=1000)
        async def experiment(id: str, attempt: int) -> None:
            cause = None
            try:
                await prepare(id, attempt)
                for name in STAGES:
                    services = await plan(id, attempt, name.value)
                    while services:
                        ended = await _all(work(id, attempt, name.value, service) for service in services)
                        services = [service for service, is_done in zip(services, ended, strict=True) if not is_done]
                    await close_phase(id, attempt, name.value)
                await analyze(id, attempt)
            except Exception as error:
                log.exception("experiment %s failed", id)
                cause = str(error)
            await end(id, attempt, cause)

        self.experiment = experiment

    def _run(self, id: str, attempt: int) -> Run:
        return Run(id, self.store, self.settings, attempt)

    def _plan(self, run: Run, name: PhaseName) -> list[str]:
        stage = STAGES[name]
        self.store.renew_statistics()
        units = run.attempt.plan(name, chunks(stage.units(run), self.settings.batch_size))
        run.attempt.start_phase(name, stage.total(run, self.store.planned(run.id, name)))
        return list(dict.fromkeys(map(stage.service, units)))

    async def _work(self, run: Run, name: PhaseName, service: str) -> bool:
        """After a kill between the last rows and the end of the step, there is nothing to do."""
        if not await asyncio.to_thread(run.attempt.goes_on):
            return True
        flow = self.flows.setdefault(service, Flow(self.settings.limits_of(service)))
        return await Turn(run, STAGES[name], service, self._tell(run, name), flow).work()

    async def _phase(self, run: Run, name: PhaseName, do: Callable[[Run, Tell], Awaitable[None]]) -> None:
        """A phase that is one piece of work."""
        if not await asyncio.to_thread(run.attempt.begins, name):
            return
        try:
            if await asyncio.to_thread(pause_if_needed, run, ()):
                await do(run, self._tell(run, name))
                await asyncio.to_thread(run.attempt.end_phase, name)
        except Stuck as stuck:
            await asyncio.to_thread(pause, run, stuck, None)

    def _tell(self, run: Run, name: PhaseName) -> Tell:
        async def say(message: str | None) -> None:
            log.info("%s %s: %s", run.id, name, message or "goes on")
            try:
                await asyncio.to_thread(run.attempt.tell, name, message)
            except ProblemError as error:
                log.warning("%s %s: could not be told: %s", run.id, name, error)

        return Tell(say, self.settings.patience_s)


async def _all(steps: Iterable[Awaitable[bool]]) -> list[bool]:
    """Side by side. They begin in their order, by which the engine knows them again; none is left behind."""
    ended = await asyncio.gather(*steps, return_exceptions=True)
    for one in ended:
        if isinstance(one, BaseException):
            raise one
    return cast(list[bool], ended)


def _may_pass(error: BaseException) -> bool:
    """A locked, restarting or full database may pass; everything else was dealt with where it came up, or is a bug."""
    return isinstance(error, ProblemError) and error.kind == "no-database"
