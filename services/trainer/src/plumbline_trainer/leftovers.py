"""End a training process that an earlier service left behind."""

import logging
import os
import signal
from pathlib import Path

import psutil

log = logging.getLogger(__name__)
_WAIT_S = 30.0


def end_leftover(pid: int | None, folder: Path) -> None:
    """Kill process `pid` if it still trains the job in `folder`, and return when it is gone.

    The command line tells that it is that process: a number alone may have been given to another one since.
    """
    if pid is None:
        return
    try:
        process = psutil.Process(pid)
        if process.cmdline()[-2:] != ["plumbline_trainer.run", str(folder)]:
            return
        log.warning("ending a training process that outlived its service", extra={"training": folder.name, "pid": pid})
        os.killpg(pid, signal.SIGKILL)
        process.wait(_WAIT_S)
    except (psutil.NoSuchProcess, ProcessLookupError):
        return
