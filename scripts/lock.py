"""Write the hash-locked requirements of every service and of development: `make lock`.

Torch is left out: it is installed first, from a wheel folder or an index of the user's choice (README.md).
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATTERNS = ("contracts", "contracts/*", "services/*", "cli", "examples/*")
PROJECTS = {
    tomllib.loads(path.read_text())["project"]["name"]: path.parent
    for pattern in PATTERNS
    for path in ROOT.glob(f"{pattern}/pyproject.toml")
}
TORCH = "torch==2.13.0"
TOOLS = {"mypy", "pytest", "pytest-xdist", "ruff", "setuptools>=77", "types-PyYAML", "types-psutil", "uv", "wheel"}


def name_of(requirement: str) -> str:
    return re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0]


def third_party(project: str) -> set[str]:
    """What a project of ours needs from elsewhere, directly or through another of ours."""
    found: set[str] = set()
    for requirement in tomllib.loads((PROJECTS[project] / "pyproject.toml").read_text())["project"]["dependencies"]:
        name = name_of(requirement)
        found |= third_party(name) if name in PROJECTS else {TORCH if name == "torch" else requirement}
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
    lock(TOOLS.union(*map(third_party, PROJECTS)), ROOT / "requirements.lock")


if __name__ == "__main__":
    main()
