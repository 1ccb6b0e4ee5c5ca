"""Why a training failed, in words that say what to do."""

import errno
import signal
from pathlib import Path

from plumbline_kit.errors import ProblemError

_LOG_TAIL_BYTES = 8192
_LONGEST = 400  # characters
_DISK_FULL = ("no space left on device", "os error 28", "storagefull", "disk quota exceeded")
_WRITE_FAILED = ("file write failed", "failed writing", "iostream error")
_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "std::bad_alloc")
_LESS_MEMORY = "try a smaller batch_size (with gradient_accumulation_steps), a smaller max_length or low_rank"


def of_error(error: BaseException) -> str:
    """One sentence or two; the stack trace is in the job's log."""
    if isinstance(error, ProblemError):
        return str(error)
    chain = list(_chain(error))
    text = " ".join(f"{type(link).__name__} {link}" for link in chain).lower()
    first_line = next(iter(str(error).strip().splitlines()), "")[:_LONGEST]
    told = f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__
    full = any(isinstance(link, OSError) and link.errno in (errno.ENOSPC, errno.EDQUOT) for link in chain)
    if full or any(sign in text for sign in _DISK_FULL):
        return f"The disk is full: {told}"
    if any(sign in text for sign in _WRITE_FAILED):
        return f"A file could not be written, most likely because the disk is full: {told}"
    if any(isinstance(link, MemoryError) for link in chain) or any(sign in text for sign in _MEMORY):
        return f"Memory ran out; {_LESS_MEMORY}. {told}"
    return told


def _chain(error: BaseException | None) -> "list[BaseException]":
    return [] if error is None else [error, *_chain(error.__cause__ or error.__context__)]


def of_exit(code: int, log: Path) -> str:
    """For a process that ended without telling why. Its status is negative, or above 128, after a signal."""
    number = -code if code < 0 else code - 128
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"The training process ended with status {code}: {_last_line(log)}"
    usual = "; killed from outside, most often because memory ran out" if number == signal.SIGKILL else ""
    return f"The training process was ended by {name} (signal {number}){usual}."


def _last_line(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _LOG_TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "its log is empty")
