"""Argos packages, as an archive to install and unpacked as in ARGOS_PACKAGES_DIR."""

import json
import shutil
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from tinyworld.training import Report
from tinyworld.translator import build_translator

VERSION = "0.1"
NAMES = {"en": "English", "fr": "French", "es": "Spanish"}
README = "A memorising toy of Plumbline's tinyworld. It can translate nothing outside that world.\n"
# The oldest date a zip file can hold: a real one would make every archive a new file.
DATE = (1980, 1, 1, 0, 0, 0)


def package_name(language: str) -> str:
    return f"translate-en_{language}-{VERSION.replace('.', '_')}"


def metadata(language: str) -> dict[str, object]:
    return {
        "package_version": VERSION,
        "argos_version": "1.11",
        "from_code": "en",
        "from_name": NAMES["en"],
        "to_code": language,
        "to_name": NAMES[language],
        "links": [],
        "type": "translate",
    }


def write_archive(package: Path, archive: Path) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for path in sorted(path for path in package.rglob("*") if path.is_file()):
            info = zipfile.ZipInfo(f"{package.name}/{path.relative_to(package).as_posix()}", DATE)
            info.external_attr = 0o644 << 16
            target.writestr(info, path.read_bytes(), zipfile.ZIP_DEFLATED)


def build_package(folder: Path, language: str, seed: int, steps: int, report: Report) -> None:
    """Trains English to `language` and writes `folder`/packages/NAME and `folder`/archives/NAME.argosmodel."""
    package = folder / "packages" / package_name(language)
    package.mkdir(parents=True)
    with TemporaryDirectory() as work:
        pieces = build_translator(Path(work), language, seed, steps, report)
        shutil.copytree(Path(work) / "ct2", package / "model")
    (package / "sentencepiece.model").write_bytes(pieces)
    (package / "metadata.json").write_text(json.dumps(metadata(language), indent=2) + "\n", encoding="utf-8")
    (package / "README.md").write_text(README, encoding="utf-8")
    write_archive(package, folder / "archives" / f"{package.name}.argosmodel")
