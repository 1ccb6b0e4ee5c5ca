"""The translator on Argos packages."""

import asyncio
import logging
from itertools import islice
from pathlib import Path
from typing import Self

from packaging.version import InvalidVersion, Version
from plumbline_contracts import translator as contract
from plumbline_contracts.common import Info
from plumbline_kit.artifacts import digest
from plumbline_kit.errors import ProblemError

from . import __version__, layout, packages
from .flags import flags
from .packages import ArgosPackage, Cut

log = logging.getLogger(__name__)
Route = list[ArgosPackage]


class ArgosTranslator:
    """Translates along a route: one package, or two that meet in a language between."""

    def __init__(self, loaded: list[ArgosPackage], faults: list[str], root: Path, revision: str | None) -> None:
        self._routes, self._faults, self._root, self._revision = routes(loaded), faults, root, revision

    @classmethod
    async def load(cls, root: Path, threads: int) -> Self:
        """Load every package; those that cannot be loaded are logged and left out."""
        return await asyncio.to_thread(cls._load, root, threads)

    @classmethod
    def _load(cls, root: Path, threads: int) -> Self:
        loaded, faults = packages.load(root, threads)
        return cls(loaded, faults, root, digest(root)[0] if loaded else None)

    async def translate(self, request: contract.TranslationRequest) -> contract.TranslationResponse:
        route = self._routes.get((request.source, request.target))
        if route is None:
            have = ", ".join(f"{source}-{target}" for source, target in self._routes) or "none"
            asked = f"{request.source}-{request.target}"
            raise ProblemError(422, "unknown-language-pair", f"There is no package for {asked}; there are: {have}.")
        translations = await asyncio.to_thread(_translate, route, request.texts)
        return contract.TranslationResponse(translations=translations, engine="argos", package=_name(route))

    async def languages(self) -> contract.Languages:
        return contract.Languages(
            pairs=[
                contract.LanguagePair(
                    source=source,
                    target=target,
                    package=_name(route),
                    revision=" + ".join(package.revision for package in route),
                )
                for (source, target), route in self._routes.items()
            ]
        )

    async def check(self) -> None:
        """Raise `no-packages` when there is nothing to translate with."""
        if not self._routes:
            why = "; ".join(self._faults) or "it holds no folder with a metadata.json"
            mend = "Unpack packages there, or set TRANSLATOR_ENGINE=echo, which translates nothing."
            raise ProblemError(503, "no-packages", f"There is no usable Argos package in {self._root}: {why}. {mend}")

    def info(self) -> Info:
        direct = [route[0] for route in self._routes.values() if len(route) == 1]
        return Info(
            contract=f"{contract.NAME}/{contract.VERSION}",
            implementation="argos",
            version=__version__,
            model=", ".join(f"{package.name} ({package.compute_type})" for package in direct) or "none loaded",
            revision=self._revision,
            description="Argos Translate packages on CTranslate2, beam search of width 4.",
        )


def routes(loaded: list[ArgosPackage]) -> dict[tuple[str, str], Route]:
    """Every pair that can be translated: the newest package, else two packages, through English where possible."""
    found: dict[tuple[str, str], Route] = {}
    for package in sorted(loaded, key=lambda package: _version(package.version)):
        found[package.source, package.target] = [package]
    direct = sorted((route[0] for route in found.values()), key=lambda package: (package.target != "en", package.name))
    for first in direct:
        for second in direct:
            if first.target == second.source and first.source != second.target:
                found.setdefault((first.source, second.target), [first, second])
    return dict(sorted(found.items()))


def _translate(route: Route, texts: list[contract.SourceText]) -> list[contract.Translation]:
    """All lines of all texts go through each package at once: large batches are what makes it fast."""
    layouts = [layout.take_apart(text.text) for text in texts]
    lines: list[str | Cut] = [line.body for lines in layouts for line in lines]
    for package in route:
        todo = [position for position, line in enumerate(lines) if isinstance(line, str) and line]
        translated = package.translate([str(lines[position]) for position in todo])
        for position, line in zip(todo, translated, strict=True):
            lines[position] = line
    bodies = iter(lines)
    return [
        _translation(text, parts, list(islice(bodies, len(parts)))) for text, parts in zip(texts, layouts, strict=True)
    ]


def _translation(
    source: contract.SourceText, parts: list[layout.Line], bodies: list[str | Cut]
) -> contract.Translation:
    cut = next((body for body in bodies if isinstance(body, Cut)), None)
    if cut is not None:
        return contract.Translation(id=source.id, text=None, flags=[], cause=cut.cause)
    text = layout.put_together(parts, [str(body) for body in bodies])
    return contract.Translation(id=source.id, text=text, flags=flags(source.text, text), cause=None)


def _name(route: Route) -> str:
    return " + ".join(package.name for package in route)


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")
