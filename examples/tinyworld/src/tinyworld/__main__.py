"""The command: `python -m tinyworld --out DIR`."""

import argparse
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from tinyworld.build import NotOursError, build, cached
from tinyworld.parameters import Parameters

DEFAULTS = Parameters()
DESCRIPTION = """\
Build a small made-up world for Plumbline's quickstart and tests, from seeds, without any download:

  models/tinyworld-base/   a trilingual base model (Hugging Face folder)
  argos/                   English to French and to Spanish, for Argos Translate
  data/                    instructions.jsonl (also .fr and .es), sft.jsonl, preferences.jsonl
  prompts/                 urial.en.txt, urial.fr.txt, urial.es.txt
  manifest.json            what it was made from, and the digest of every file

It takes two to four minutes on two cores. Run again with the same seed and steps, it returns at once.
"""


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        "tinyworld", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    result.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to build; made when missing")
    result.add_argument("--seed", type=int, default=0, help="another seed is another model (default: 0)")
    result.add_argument("--force", action="store_true", help="build again even if DIR holds this very build")
    result.add_argument(
        "--steps",
        type=int,
        default=DEFAULTS.base_steps,
        metavar="N",
        help=f"training steps of the base model (default: {DEFAULTS.base_steps}; a few give a useless model, soon)",
    )
    result.add_argument(
        "--translator-steps",
        type=int,
        default=DEFAULTS.translator_steps,
        metavar="N",
        help=f"training steps of each translation model (default: {DEFAULTS.translator_steps})",
    )
    return result


def _build_shown(out: Path, seed: int, parameters: Parameters, console: Console) -> dict[str, Any]:
    columns = (TextColumn("{task.description:>6}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:
        totals = {"base": parameters.base_steps, "en-fr": parameters.translator_steps}
        totals["en-es"] = parameters.translator_steps
        tasks: dict[str, TaskID] = {part: bars.add_task(part, total=total) for part, total in totals.items()}
        return build(out, seed, parameters, lambda part, done, total: bars.update(tasks[part], completed=done))


def main(arguments: list[str] | None = None) -> int:
    chosen = parser().parse_args(arguments)
    parameters = Parameters(base_steps=chosen.steps, translator_steps=chosen.translator_steps)
    console = Console(stderr=True)
    if not chosen.force and cached(chosen.out, chosen.seed, parameters):
        console.print(f"{chosen.out}: cached")
        return 0
    try:
        manifest = _build_shown(chosen.out, chosen.seed, parameters, console)
    except KeyboardInterrupt:
        console.print("tinyworld: interrupted; nothing was changed")
        return 130
    except NotOursError as error:
        console.print(f"tinyworld: {error}", style="red", markup=False)
        return 1
    console.print(f"{chosen.out}: {len(manifest['files'])} files in {manifest['seconds']['all']:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
