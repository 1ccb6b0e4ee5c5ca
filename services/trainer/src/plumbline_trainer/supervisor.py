"""Runs jobs in processes of their own: starts, ends, recovers and concludes them."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from subprocess import STDOUT

import anyio
from anyio.abc import Process
from anyio.to_thread import run_sync
from filelock import FileLock, Timeout
from plumbline_contracts.trainer import TrainingState
from plumbline_kit.errors import ProblemError

from .causes import of_error, of_exit
from .checkpoints import newest
from .jobs import ENDED, Job, JobFolder, JobStore, Outcome
from .leftovers import end_leftover
from .settings import Settings

log = logging.getLogger(__name__)
MOST_ATTEMPTS = 5
_LOCK_WAIT_S = 30.0
_DISK_RETRY_S = 5.0


class Supervisor:
    def __init__(self, store: JobStore, settings: Settings) -> None:
        self.store, self.settings = store, settings
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._change = anyio.Lock()  # held while a job is started or cancelled, so that it is never both
        self._running: dict[str, tuple[Process, anyio.Event]] = {}
        self._cancelled: set[str] = set()

    @asynccontextmanager
    async def supervise(self) -> AsyncIterator[None]:
        """Take up what an earlier service left, work until the end, then end the processes; their jobs stay queued."""
        self.store.root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.store.root / ".lock", thread_local=False)
        try:
            await run_sync(lambda: lock.acquire(timeout=_LOCK_WAIT_S))
        except Timeout as error:
            detail = f"Another trainer works in {self.store.root}; give each its own TRAINER_JOBS_DIR."
            raise ProblemError(503, "jobs-folder", detail) from error
        try:
            async with anyio.create_task_group() as group:
                await self._recover()
                for _ in range(self.settings.parallel):
                    group.start_soon(self._work)
                yield
                group.cancel_scope.cancel()
        finally:
            lock.release()

    def enqueue(self, id: str) -> None:
        self._queue.put_nowait(id)

    async def cancel(self, id: str) -> None:
        """Returns when the job has ended."""
        async with self._change:
            job = await run_sync(self.store.read, id)
            if job.state in ENDED:
                return
            if id not in self._running:
                await self._conclude(job, Outcome(), TrainingState.CANCELLED)
                return
            process, ended = self._running[id]
            self._cancelled.add(id)
        await self._end(process)
        await ended.wait()

    async def _recover(self) -> None:
        for job in await run_sync(self.store.unfinished):
            await run_sync(end_leftover, job.pid, self.store.folder(job.id).path)
            outcome = await run_sync(self.store.outcome, job.id)
            if outcome is not None:
                await self._conclude(job, outcome, TrainingState.FAILED)
                continue
            if job.state is TrainingState.RUNNING:
                log.warning("training goes on after a restart of the service", extra={"training": job.id})
                await run_sync(self.store.record, job.model_copy(update={"state": TrainingState.QUEUED, "pid": None}))
            self.enqueue(job.id)

    async def _work(self) -> None:
        while True:
            id = await self._queue.get()
            try:
                await self._train(id)
            except Exception:  # one job must not end the others
                log.exception("training could not be supervised", extra={"training": id})

    async def _train(self, id: str) -> None:
        async with self._change:
            job = await run_sync(self.store.read, id)
            begun = await self._begin(job) if job.state is TrainingState.QUEUED else None
            if begun is None:
                return
            job, process = begun
            ended = anyio.Event()
            self._running[id] = process, ended
        try:
            await run_sync(self.store.record, job)
            code = await process.wait()
            await self._after(job, code)
        except anyio.get_cancelled_exc_class():
            if process.returncode is None:
                with anyio.CancelScope(shield=True):
                    await self._end(process)
                    queued = {"state": TrainingState.QUEUED, "pid": None, "attempts": job.attempts - 1}
                    await run_sync(self.store.record, job.model_copy(update=queued))
            raise
        except OSError as error:
            # Its state could not be recorded, so nobody would watch over it: the disk is full, for example.
            await self._end(process)
            await self._conclude(job, Outcome(cause=of_error(error)), TrainingState.FAILED)
        finally:
            del self._running[id]
            self._cancelled.discard(id)
            ended.set()

    async def _begin(self, job: Job) -> tuple[Job, Process] | None:
        """The job as it runs and its process, unless it cannot be started: then it has failed."""
        try:
            job = await run_sync(self._next_attempt, job)
            if job.attempts > MOST_ATTEMPTS:
                cause = f"The service ended {MOST_ATTEMPTS} times while this training was at step {job.reached}."
                await self._conclude(job, Outcome(cause=cause), TrainingState.FAILED)
                return None
            process = await self._start(await run_sync(self.store.prepare, job.id, self.settings.plan))
        except OSError as error:
            cause = f"The training process could not be started: {of_error(error)}"
            await self._conclude(job, Outcome(cause=cause), TrainingState.FAILED)
            return None
        return job.model_copy(update={"state": TrainingState.RUNNING, "pid": process.pid}), process

    def _next_attempt(self, job: Job) -> Job:
        reached = newest(self.store.folder(job.id).checkpoints)
        step = 0 if reached is None else reached[0]
        attempts = 1 if step > job.reached else job.attempts + 1
        started = job.started or datetime.now(UTC)
        return job.model_copy(update={"attempts": attempts, "reached": step, "started": started})

    async def _start(self, folder: JobFolder) -> Process:
        with folder.log.open("ab") as output:
            return await anyio.open_process(
                [sys.executable, "-m", "plumbline_trainer.run", str(folder.path)],
                stdout=output,
                stderr=STDOUT,
                env=environment(folder, self.settings),
                start_new_session=True,
            )

    async def _end(self, process: Process) -> None:
        for sent in (signal.SIGTERM, signal.SIGKILL):
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    # The process leads its own group, so what it started ends with it.
                    os.killpg(process.pid, sent)
            with anyio.move_on_after(self.settings.grace_s):
                await process.wait()
                return

    async def _after(self, job: Job, code: int) -> None:
        outcome = await run_sync(self.store.outcome, job.id)
        if outcome is None and job.id in self._cancelled:
            await self._conclude(job, Outcome(), TrainingState.CANCELLED)
            return
        if outcome is None:
            outcome = Outcome(cause=await run_sync(of_exit, code, self.store.folder(job.id).log))
        await self._conclude(job, outcome, TrainingState.FAILED)

    async def _conclude(self, job: Job, outcome: Outcome, otherwise: TrainingState) -> None:
        """Record the end, however long it takes: a full disk must not leave a job that runs for ever."""
        state = otherwise if outcome.weights is None else TrainingState.COMPLETED
        told = {name: getattr(outcome, name) for name in ("weights", "weights_sha256", "cause")}
        end = {"state": state, "pid": None} | told
        job = job.model_copy(update=end | {"finished": datetime.now(UTC)})
        while True:
            try:
                with anyio.CancelScope(shield=True):
                    # Cleaning comes first, because it makes room.
                    await run_sync(lambda: self.store.clean(job.id, keep_checkpoints=self.settings.keep_checkpoints))
                    await run_sync(self.store.record, job)
                break
            except OSError:
                log.exception("the end of a training cannot be recorded yet", extra={"training": job.id})
                await anyio.sleep(_DISK_RETRY_S)
        log.info("training ended", extra={"training": job.id, "state": state.value, "cause": outcome.cause})


def environment(folder: JobFolder, settings: Settings) -> dict[str, str]:
    """The variables of a training process; what it writes beside its result goes into its folder."""
    threads = {} if settings.threads is None else {"OMP_NUM_THREADS": str(settings.threads)}
    return {
        "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads of several services starve each other
        **os.environ,
        **threads,
        # TRL's DPO refuses to run when it sees several GPUs without a distributed launcher.
        "CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0],
        "HF_DATASETS_CACHE": str(folder.temporary),
        "TMPDIR": str(folder.temporary),
        "TOKENIZERS_PARALLELISM": "false",
        "TQDM_DISABLE": "1",
    }
