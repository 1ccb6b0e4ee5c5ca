"""A Hugging Face data set: a card and a Parquet file per language, for `datasets.load_dataset(FOLDER)` or a push."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

import yaml
from plumbline_contracts.coordinator import Manifest

from ..client import PlumblineClient
from . import records

_CARD = """\
---
{metadata}---

# {name}

{description}

Every response of the Plumbline experiment `{id}`, a split per language, with what detectors and judges said of it.
`response` is what was judged, `raw_response` all that the model wrote; where there is none, `missing` says why.
A judgment without a `score` says in `missing` why there is none. `manifest.json` has the experiment file, versions and
digests.

The texts were written by language models; instructions are those of the data set that the experiment names,
under its licence.

| arm | model | weights | prompting |
|---|---|---|---|
{arms}
"""


def write(client: PlumblineClient, id: str, target: Path) -> int:
    manifest, counts = client.manifest(id), defaultdict[str, int](int)
    (target / "data").mkdir(parents=True)
    with ExitStack() as open_files:
        files: dict[str, TextIO] = {}
        for record in client.responses(id):
            if (language := record.language) not in files:
                lines = _lines(target, language)
                files[language] = open_files.enter_context(lines.open("w", encoding="utf-8", newline="\n"))
            files[language].write(record.model_dump_json() + "\n")
            counts[language] += 1
    for language in counts:
        records.to_parquet(_lines(target, language), target / "data" / _file(language))
        _lines(target, language).unlink()
    (target / "README.md").write_text(_card(id, manifest, counts), encoding="utf-8")
    (target / "manifest.json").write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return sum(counts.values())


def _card(id: str, manifest: Manifest, counts: dict[str, int]) -> str:
    spec, splits = manifest.spec, [{"split": one, "path": f"data/{_file(one)}"} for one in counts]
    metadata: dict[str, Any] = {
        "pretty_name": spec["name"],
        "language": list(counts),
        "task_categories": ["text-generation"],
        "tags": ["plumbline", "evaluation", "instruction-following"],
        "configs": [{"config_name": "default", "data_files": splits}],
    }
    return _CARD.format(
        metadata=yaml.safe_dump(metadata, allow_unicode=True, sort_keys=False),
        name=spec["name"],
        description=spec["description"],
        id=id,
        arms="\n".join(_row(arm) for arm in spec["arms"]),
    )


def _row(arm: dict[str, str]) -> str:
    cells: Iterator[str] = (arm[name].replace("|", "\\|") for name in ("name", "model", "weights", "prompting"))
    return f"| {' | '.join(cells)} |"


def _lines(target: Path, language: str) -> Path:
    return target / f"{language}.jsonl"


def _file(language: str) -> str:
    return f"{language}-00000-of-00001.parquet"
