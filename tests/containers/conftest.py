"""One stack of real containers for all tests of this folder; skipped, and said so, where no engine answers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.compose_stack import ComposeStack, docker, why_no_engine


@pytest.fixture(scope="session")
def containers(tmp_path_factory: pytest.TempPathFactory, tinyworld: Path) -> Iterator[ComposeStack]:
    if reason := why_no_engine():
        pytest.skip(reason)
    stack = ComposeStack(tmp_path_factory.mktemp("containers"), tinyworld)
    try:
        stack.home.joinpath("first-words").write_text(stack.up())
        yield stack
    finally:
        stack.make("down")
        label = "label=com.docker.compose.project=plumbline-test"
        if volumes := docker("volume", "ls", "--quiet", "--filter", label).split():
            docker("volume", "rm", *volumes)
