"""Write the hash-locked requirements of every service and of development: `make lock`.

Torch is left out: it is installed first, from a wheel folder or an index of the user's choice (README.md).
"""

import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PATTERNS = ("contracts", "contracts/*", "services/*", "cli", "examples/*")
PROJECTS = {
    tomllib.loads(path.read_text())["project"]["name"]: path.parent
    for pattern in PATTERNS
    for path in ROOT.glob(f"{pattern}/pyproject.toml")
}
TORCH = "torch==2.13.0"
# choix: an independent Bradley-Terry, for a test. libretranslatepy, lm_eval: clients of our services, for tests. spacy,
# stanza and minisbd: for the test that compares the translator with argostranslate's own translation.
TOOLS = {
    "choix",
    "kubernetes-validate",
    "libretranslatepy",
    "lm_eval[api]",
    "minisbd",
    "flask",
    "flask-cors",
    "moto[s3]",
    "mypy",
    "packaging",
    "pytest",
    "pytest-xdist",
    "ruff",
    "setuptools>=77",
    "spacy",
    "stanza==1.10.1",
}
TOOLS |= {"types-PyYAML", "types-psutil", "uv", "wheel"}


def third_party(project: str, extras: Iterable[str] = ()) -> set[str]:
    """What a project of ours needs from elsewhere with these extras, directly or through another of ours."""
    metadata = tomllib.loads((PROJECTS[project] / "pyproject.toml").read_text())["project"]
    optional = [line for extra in extras for line in metadata["optional-dependencies"][extra]]
    found: set[str] = set()
    for line in metadata["dependencies"] + optional:
        needed = Requirement(line)
        if needed.name in PROJECTS:
            found |= third_party(needed.name, needed.extras)
        else:
            found.add(TORCH if needed.name == "torch" else line)
    return found


def lock(requirements: set[str], target: Path) -> None:
    print(f"{target.relative_to(ROOT)}", flush=True)
    options = [
        "--quiet",
        "--universal",
        "--python-version",
        "3.11",
        "--generate-hashes",
        "--no-annotate",
        "--no-header",
    ]
    command = ["uv", "pip", "compile", "-", *options, "--no-emit-package", "torch"]
    settings = ["--config-file", str(ROOT / "scripts/lock.toml"), "--output-file", str(target)]
    text = "\n".join(sorted(requirements))
    subprocess.run([sys.executable, "-m", *command, *settings], input=text, text=True, check=True, cwd=ROOT)


def main() -> None:
    for name, folder in PROJECTS.items():
        if folder.parent.name == "services" and not folder.name.startswith("_"):
            lock(third_party(name), folder / "requirements.lock")
    for path in ROOT.glob("examples/*/requirements.in"):
        lock(set(path.read_text().split()), path.with_name("requirements.lock"))
    lock(TOOLS.union(*map(third_party, PROJECTS)), ROOT / "requirements.lock")


if __name__ == "__main__":
    main()
