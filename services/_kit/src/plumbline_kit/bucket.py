"""A bucket of an S3 server, with its faults told as problems that say what to look at."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store as Client

from .errors import ProblemError
from .settings import StoreSettings

if TYPE_CHECKING:
    from obstore.store import ClientConfig

_PART_BYTES, _PARTS_AT_ONCE = 16 * 2**20, 4  # 64 MiB in memory; S3 takes 10 000 parts, so 156 GiB a file
_CHUNK_BYTES = 8 * 2**20
_REFUSED_KEYS = "refuses the keys; check PLUMBLINE_S3_ACCESS_KEY_ID and PLUMBLINE_S3_SECRET_ACCESS_KEY"
_REFUSALS = {
    "NoSuchBucket": "does not exist; check PLUMBLINE_ARTIFACTS_URL and PLUMBLINE_S3_ENDPOINT",
    "AccessDenied": "may not be used with these keys: they need to list the bucket, and to read and write its objects",
    "AuthorizationHeaderMalformed": "refuses the region; check PLUMBLINE_S3_REGION",
    "PermanentRedirect": "is in another region; check PLUMBLINE_S3_REGION",
    "403 Forbidden": _REFUSED_KEYS,
    "401 Unauthorized": _REFUSED_KEYS,
    "redirect without LOCATION": "is in another region; check PLUMBLINE_S3_REGION",
    # Where machines of Amazon's cloud are told their keys; the last place to look for them.
    "169.254.169.254": "needs keys; set PLUMBLINE_S3_ACCESS_KEY_ID and PLUMBLINE_S3_SECRET_ACCESS_KEY",
}


class Bucket:
    """Keys are below the prefix of PLUMBLINE_ARTIFACTS_URL. An object is there when all of it is."""

    def __init__(self, settings: StoreSettings) -> None:
        self.settings = settings
        self.url = f"{settings.artifacts_url}" + (f" at {settings.s3_endpoint}" if settings.s3_endpoint else "")

    @cached_property
    def _client(self) -> Client:
        # Few retries, because the callers wait and try again. No limit for a whole file, but one for silence, which is
        # also that for sending the parts under way.
        return self._connect({"connect_timeout": "5s", "read_timeout": "5min", "timeout": "1day"}, retries=3)

    @cached_property
    def _prober(self) -> Client:
        return self._connect({"connect_timeout": "2s", "timeout": "3s"}, retries=0)

    def _connect(self, options: "ClientConfig", retries: int) -> Client:
        given = self.settings
        keys = given.s3_access_key_id, given.s3_secret_access_key
        config = {
            "endpoint": given.s3_endpoint,
            "region": given.s3_region,
            "access_key_id": keys[0] and keys[0].get_secret_value(),
            "secret_access_key": keys[1] and keys[1].get_secret_value(),
        }
        allow_http = (given.s3_endpoint or "").startswith("http://")
        return Client.from_url(
            str(given.artifacts_url),
            config={key: value for key, value in config.items() if value},  # type: ignore[arg-type]
            client_options={**options, "allow_http": allow_http},
            retry_config={"max_retries": retries, "retry_timeout": timedelta(seconds=15)},
        )

    def check(self) -> None:
        """One cheap request; a problem unless the bucket is there and may be listed."""
        with self._problems():
            obstore.list_with_delimiter(self._prober)

    def has(self, key: str) -> bool:
        with self._problems():
            try:
                obstore.head(self._client, key)
            except FileNotFoundError:
                return False
        return True

    def sizes(self, prefix: str) -> dict[str, int]:
        """Size in bytes of every object below `prefix`."""
        with self._problems():
            return {item["path"]: item["size"] for page in obstore.list(self._client, prefix) for item in page}

    def put(self, key: str, content: Path | bytes) -> None:
        """Store an object, in parts if it is large."""
        with self._problems():
            try:
                obstore.put(self._client, key, content, chunk_size=_PART_BYTES, max_concurrency=_PARTS_AT_ONCE)
            except FileNotFoundError:
                self.check()  # raises when it is the bucket that was not found
                raise

    def chunks(self, key: str) -> Iterator[bytes]:
        """The content of an object; FileNotFoundError if it is not there."""
        with self._problems():
            yield from obstore.get(self._client, key).stream(_CHUNK_BYTES)

    @contextmanager
    def _problems(self) -> Iterator[None]:
        try:
            yield
        except BaseError as error:
            raise self._problem(str(error)) from error

    def _problem(self, told: str) -> ProblemError:
        """Both kinds may pass: the second once a person has changed a setting or a right."""
        code = re.search(r"<Code>(\w+)</Code>", told)
        cause = code[1] if code else told.split("\n")[0].rpartition(" - ")[2].strip(" :.")
        for sign, advice in _REFUSALS.items():
            if sign in told:
                return ProblemError(503, "artifact-store-refused", f"The bucket {self.url} {advice} ({cause}).")
        detail = f"The bucket {self.url} cannot be reached: {cause}."
        return ProblemError(503, "artifact-store-unavailable", detail, retry_after=5)
