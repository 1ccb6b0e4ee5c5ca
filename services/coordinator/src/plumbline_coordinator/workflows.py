"""An experiment as a durable workflow: prepare, stages as chunks on a queue, analyze. All but its order is in steps."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from functools import partial

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetEnqueueOptions, SetWorkflowID
from dbos import error as dbos_error
from plumbline_contracts.coordinator import ExperimentState, PhaseName
from plumbline_kit.errors import ProblemError
from plumbline_kit.logs import request_id

from . import analysis, preparation, waiting
from .database import LONGEST_SLEEP_S, NETWORK, workflow_database
from .lease import Claim
from .repeating import Repeating
from .run import Run
from .settings import Settings
from .stages import STAGES
from .stages.stage import chunks
from .store import GOING_ON, Store
from .takeover import look_after
from .waiting import Tell

log = logging.getLogger(__name__)
# Bump only when the order of steps changes; rows of another version are not picked up (docs/decisions/0004).
FLOW_VERSION = "flow-1"
_EXPERIMENTS, _CHUNKS = "experiments", "chunks"
_POLL_S = 0.2
_LOOK_AFTER_S = 1.0
_WITHOUT_END = 10_000_000  # tries: a database is waited for as long as a service is


class Workflows:
    """Starts and cancels the workflows. One instance per process: the engine keeps a global registry."""

    def __init__(self, store: Store, settings: Settings, claim: Claim) -> None:
        self.store, self.settings, self.claim = store, settings, claim
        sqlite = settings.database_url.startswith("sqlite")
        arguments = {} if sqlite else {"connect_args": NETWORK | {"application_name": "plumbline workflows"}}
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
        self._looking_after = Repeating("look after the others", _LOOK_AFTER_S, self._look_after)

    async def launch(self) -> None:
        """Go on with what was running when the last process ended. The claim must be acquired."""
        if self.store.engine.dialect.name == "sqlite":  # else they may be those of living processes; see takeover.py
            await asyncio.to_thread(self.store.forget_messages)
        await asyncio.to_thread(DBOS.launch)
        await DBOS.register_queue_async(_EXPERIMENTS, polling_interval_sec=_POLL_S)
        await DBOS.register_queue_async(
            _CHUNKS, partition_concurrency=self.settings.concurrency, polling_interval_sec=_POLL_S
        )
        await asyncio.to_thread(self._look_after)
        self._looking_after.start()

    async def start(self, id: str) -> None:
        """Repeating it is harmless: the id of the experiment is the id of its workflow."""
        await asyncio.to_thread(self._start, id)

    def _start(self, id: str) -> None:
        with SetWorkflowID(id):
            DBOS.enqueue_workflow(_EXPERIMENTS, self.experiment, id)

    async def cancel(self, id: str) -> None:
        await DBOS.cancel_workflow_async(id, cancel_children=True)

    def close(self) -> None:
        """Stop, and leave what is under way to those who have the claim next: it must be released after this."""
        self._looking_after.stop()
        DBOS.destroy()

    def _look_after(self) -> None:
        look_after(self.store, self.claim, self._start)

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
        async def prepare(id: str) -> None:
            await self._phase(id, PhaseName.PREPARE, preparation.prepare)

        @step(name="plan")
        async def plan(id: str, name: str) -> list[str]:
            """The service of every chunk of the stage, in order."""
            return await asyncio.to_thread(self._plan, id, PhaseName(name))

        @step(name="process", preemptible=True)
        async def process(id: str, name: str, number: int) -> None:
            await self._process(id, PhaseName(name), number)

        @step(name="close_phase")
        async def close_phase(id: str, name: str) -> None:
            await self._close(id, PhaseName(name))

        @step(name="analyze", preemptible=True)
        async def analyze(id: str) -> None:
            await self._phase(id, PhaseName.ANALYZE, analysis.analyze)

        @step(name="end")
        async def end(id: str, cause: str | None) -> None:
            state = ExperimentState.COMPLETED if cause is None else ExperimentState.FAILED
            await asyncio.to_thread(self.store.end, id, state, cause)

        @DBOS.workflow(name="chunk", max_recovery_attempts=1000)
        async def chunk(id: str, name: str, number: int) -> None:
            await process(id, name, number)

        @DBOS.workflow(name="experiment", max_recovery_attempts=1000)
        async def experiment(id: str) -> None:
            cause = None
            try:
                await prepare(id)
                for name in STAGES:
                    services = await plan(id, name.value)
                    handles = []
                    for number, service in enumerate(services):
                        with SetWorkflowID(f"{id}/{name}/{number}"), SetEnqueueOptions(queue_partition_key=service):
                            handles.append(await DBOS.enqueue_workflow_async(_CHUNKS, chunk, id, name.value, number))
                    for handle in handles:
                        await handle.get_result(polling_interval_sec=_POLL_S)
                    await close_phase(id, name.value)
                await analyze(id)
            except dbos_error.DBOSAwaitedWorkflowCancelledError:
                raise
            except Exception as error:
                log.exception("experiment %s failed", id)
                cause = str(error)
            await end(id, cause)

        self.experiment = experiment

    def _plan(self, id: str, name: PhaseName) -> list[str]:
        run, stage = Run(id, self.store, self.settings), STAGES[name]
        planned = chunks(stage.plan(run), self.settings.batch_size)
        return [stage.service(one) for one in self.store.plan(id, name, planned)]

    async def _process(self, id: str, name: PhaseName, number: int) -> None:
        """Do what a chunk still lacks; after a kill between its rows and the end of the step, that is nothing."""
        run, stage = Run(id, self.store, self.settings), STAGES[name]
        todo = await asyncio.to_thread(self.store.chunk, id, name, number)
        done = await asyncio.to_thread(self.store.done, id, name, todo.unit)
        items = [item for item in todo.items if item not in done]
        if not items or await self._has_ended(id):
            return
        request_id.set(f"{name}-{number}-{uuid.uuid4().hex[:12]}")  # found in the logs of the service that is called
        log.info("%s %s %s: %s items", id, name, todo.unit, len(items))
        tell = self._tell(id, name)
        outcomes = await waiting.process(partial(stage.process, run, todo), items, tell)
        # An answer was paid for; it is not thrown away because the database is away just now.
        await waiting.patiently(partial(asyncio.to_thread, self.store.save, id, name, todo.unit, outcomes), tell)

    async def _phase(self, id: str, name: PhaseName, work: Callable[[Run, Tell], Awaitable[None]]) -> None:
        """A phase that is one piece of work."""
        if await self._has_ended(id):
            return
        await asyncio.to_thread(self.store.start_phase, id, name, 1)
        await work(Run(id, self.store, self.settings), self._tell(id, name))
        await self._close(id, name)

    async def _close(self, id: str, name: PhaseName) -> None:
        await asyncio.to_thread(self.store.end_phase, id, name)

    async def _has_ended(self, id: str) -> bool:
        """Cancelled or failed meanwhile: what is left in the queue is not worth its cost."""
        return await asyncio.to_thread(self.store.state, id) not in GOING_ON

    def _tell(self, id: str, name: PhaseName) -> Tell:
        async def tell(message: str | None) -> None:
            log.info("%s %s: %s", id, name, message or "goes on")
            try:
                await asyncio.to_thread(self.store.tell, id, name, message)
            except ProblemError as error:
                log.warning("%s %s: could not be told: %s", id, name, error)

        return tell


def _may_pass(error: BaseException) -> bool:
    """A locked, restarting or full database may pass; everything else was dealt with where it came up, or is a bug."""
    return isinstance(error, ProblemError) and error.kind == "no-database"
