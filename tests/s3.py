"""A real S3 server in a process of its own, that checks keys; and a line to it that can be cut or fill up."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Self

import boto3
import pytest

from tests.stack import free_port, wait_until_listening

BUCKET = "plumbline"
_ALL_OF_S3 = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
_SET_UP = 6  # requests that make the bucket and the users, before any key is asked for


class S3Server:
    """moto's server with one bucket, a user, and one who may do nothing. Use as a context manager."""

    def __init__(self) -> None:
        self.port = free_port()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(self.port)],
            env=os.environ | {"INITIAL_NO_AUTH_ACTION_COUNT": str(_SET_UP)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until_listening(self._process, self.port)
        keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
        self._client("s3", **keys).create_bucket(Bucket=BUCKET)
        iam = self._client("iam", **keys)
        self.key_id, self.secret_key = _user(iam, "plumbline")
        self.powerless = _user(iam, "powerless")
        iam.put_user_policy(UserName="plumbline", PolicyName="s3", PolicyDocument=json.dumps(_ALL_OF_S3))
        self.client = self._client("s3", aws_access_key_id=self.key_id, aws_secret_access_key=self.secret_key)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def _client(self, service: str, **keys: str) -> Any:
        url = f"http://127.0.0.1:{self.port}"
        return boto3.client(service, endpoint_url=url, region_name="us-east-1", **keys)  # type: ignore[call-overload]

    def settings(self, port: int | None = None, prefix: str = "/artifacts") -> dict[str, str]:
        """The variables of a service that keeps its artifacts here; `port` is that of a line."""
        return {
            "PLUMBLINE_ARTIFACTS_URL": f"s3://{BUCKET}{prefix}",
            "PLUMBLINE_S3_ENDPOINT": f"http://127.0.0.1:{port or self.port}",
            "PLUMBLINE_S3_REGION": "us-east-1",
            "PLUMBLINE_S3_ACCESS_KEY_ID": self.key_id,
            "PLUMBLINE_S3_SECRET_ACCESS_KEY": self.secret_key,
        }

    def objects(self, prefix: str = "") -> list[str]:
        """The key of every visible object."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def overwrite(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content)


def _user(iam: Any, name: str) -> tuple[str, str]:
    """The id and the secret of a new user's key."""
    iam.create_user(UserName=name)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return made["AccessKeyId"], made["SecretAccessKey"]


class Line:
    """Forwards TCP connections to a port of this machine. Use as a context manager."""

    def __init__(self, target: int) -> None:
        self._target, self._ends = target, list[socket.socket]()
        self._free = threading.Event()
        self._free.set()
        self.sent, self._most = 0, sys.maxsize
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._is_up = True

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stall_after(None)
        self.cut()
        # A thread that waits in accept() is woken by nothing else.
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def cut(self) -> None:
        """Break what is connected; from now on new connections end at once."""
        self._is_up = False
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._ends.clear()

    def mend(self) -> None:
        self._is_up = True

    def stall_after(self, more: int | None) -> None:
        """Let so many more bytes through to the server and then none; None ends that."""
        self._most = sys.maxsize if more is None else self.sent + more
        if more is None:
            self._free.set()
        else:
            self._free.clear()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                if not self._is_up:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._target))
                self._ends += [near, far]
                for source, target, counted in ((near, far, True), (far, near, False)):
                    threading.Thread(target=self._pump, args=(source, target, counted), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if counted:
                    self.sent += len(data)
                    if self.sent > self._most:
                        self._free.wait()
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)  # which ends the other direction too
        source.close()


@pytest.fixture(scope="session", name="s3")
def s3_server() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@pytest.fixture(name="line")
def line_to_s3(s3: S3Server) -> Iterator[Line]:
    with Line(s3.port) as line:
        yield line
