"""Resume by itself what is paused for a reason that has passed: a service that is back, a disk that has room again."""

import logging
from collections.abc import Callable

import httpx

from .disk import full
from .preparation import services_of
from .run import Run, service_urls
from .settings import Settings
from .store import Store

log = logging.getLogger(__name__)
_ANSWER_S = 3.0


def wake(store: Store, settings: Settings, start: Callable[[str, int], object]) -> None:
    """Faults that people mend, a limit, and a person's wish do not pass by themselves: they need `plumbline resume`."""
    for row in store.paused():
        kind, _, service = (row.waits_for or "").partition(" ")
        if kind == "disk":
            passed = full(settings, store.engine) is None
        elif kind == "service":
            needed = [service] if service else services_of(Run(row.id, store, settings))
            passed = all(_is_ready(one, settings) for one in needed)
        else:
            continue
        if passed and store.resume(row.id, attempt=row.attempt):
            log.info("%s goes on: what it waited for (%s) has passed", row.id, row.waits_for)
            start(row.id, row.attempt + 1)


def _is_ready(service: str, settings: Settings) -> bool:
    url = service_urls(settings).get(service)
    if url is None:
        return False
    token = settings.token
    headers = {} if token is None else {"Authorization": f"Bearer {token.get_secret_value()}"}
    try:
        answer = httpx.get(f"{url.rstrip('/')}/readyz", headers=headers, timeout=_ANSWER_S, trust_env=False)
    except httpx.HTTPError:
        return False
    return answer.is_success
