"""A small piece of work that a thread does again and again until it is stopped."""

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


class Repeating(threading.Thread):
    """Does `work` every `seconds`. A failure is logged, and the next turn tries again."""

    def __init__(self, name: str, seconds: float, work: Callable[[], object]) -> None:
        super().__init__(name=name, daemon=True)
        self.seconds, self.work, self._stopped = seconds, work, threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(self.seconds):
            try:
                self.work()
            except Exception as error:
                log.warning("%s: %s: %s", self.name, type(error).__name__, error)

    def stop(self) -> None:
        """Return when the turn that is under way has ended, or is not worth waiting for."""
        self._stopped.set()
        if self.is_alive():
            self.join(timeout=5)
