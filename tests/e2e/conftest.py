"""The stack as people run it: real engines on tinyworld."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack import Stack


@pytest.fixture(scope="session")
def real_stack(tmp_path_factory: pytest.TempPathFactory, tinyworld: Path) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("real")
    mirror_the_hub(tinyworld / "models" / "tinyworld-base", home / "models")
    settings = {
        "TRANSLATOR_PACKAGES_DIR": str(tinyworld / "argos" / "packages"),
        "GENERATOR_MODELS_DIR": str(home / "models"),
        "TRAINER_MODELS_DIR": str(home / "models"),
    }
    with Stack(home, settings) as running:
        yield running


# What an instruct model has and a base model has not.
CHAT_TEMPLATE = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"
HUB_MODELS = ("utter-project/EuroLLM-1.7B", "BSC-LT/salamandra-2b")
HUB_INSTRUCT_MODELS = ("utter-project/EuroLLM-1.7B-Instruct", "BSC-LT/salamandra-2b-instruct")


def mirror_the_hub(model: Path, models: Path) -> None:
    """Folders named and laid out like the hub models of the paper's grid. Their weights are tinyworld's."""
    for name in ("tinyworld-base", *HUB_MODELS, *HUB_INSTRUCT_MODELS):
        folder = models / name
        folder.mkdir(parents=True)
        for file in model.iterdir():
            (folder / file.name).symlink_to(file)
        if name in HUB_INSTRUCT_MODELS:
            (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
