"""The analyzer: detectors and statistics in worker threads, one report per analysis in the artifact store."""

from pathlib import Path
from tempfile import TemporaryDirectory

from anyio import CapacityLimiter, to_thread
from plumbline_contracts import analyzer as contract
from plumbline_contracts.common import Info
from plumbline_kit.artifacts import ArtifactStore

from . import __version__, calibration, detectors, findings, observations, plan, report, results
from .detectors.identifier import LanguageIdentifier
from .doubts import doubts


class StatisticalAnalyzer:
    def __init__(self, identifier: LanguageIdentifier, store: ArtifactStore, workers: int) -> None:
        self._detectors = detectors.registry(identifier)
        self._store = store
        self._detecting = CapacityLimiter(workers)
        self._analyzing = CapacityLimiter(1)  # the figures' settings belong to the process

    async def detect(self, request: contract.DetectionRequest) -> contract.DetectionResponse:
        return await to_thread.run_sync(self._detect, request, limiter=self._detecting)

    def _detect(self, request: contract.DetectionRequest) -> contract.DetectionResponse:
        items = [detectors.detect(item, self._detectors) for item in request.items]
        return contract.DetectionResponse(items=items, detectors_version=detectors.VERSION)

    async def analyze(self, request: contract.AnalysisRequest) -> contract.AnalysisResponse:
        return await to_thread.run_sync(self._analyze, request, limiter=self._analyzing)

    def _analyze(self, request: contract.AnalysisRequest) -> contract.AnalysisResponse:
        table = observations.read(request, self._store)
        numbers = results.numbers(table)
        contents = report.Contents(numbers, findings.results(request, numbers), doubts(request, numbers))
        drawn = report.figures(table, numbers)
        page = report.render(table, contents, drawn)
        with TemporaryDirectory() as folder:
            report.write(page, table, contents, drawn, Path(folder))
            kept = self._store.put(Path(folder), name=f"report-folder-{request.experiment}")
        return contract.AnalysisResponse(
            **numbers._asdict(),
            findings=[result.sentence for result in contents.results] + contents.doubts,
            report=self._store.put_bytes(page.encode(), name=f"report-{request.experiment}"),
            folder=kept,
        )

    async def detectable_effect(self, request: contract.DetectableEffectRequest) -> contract.DetectableEffect:
        return await to_thread.run_sync(plan.detectable_effect, request)

    async def calibrate(self, request: contract.CalibrationRequest) -> contract.CalibrationResponse:
        return await to_thread.run_sync(calibration.calibrate, request, limiter=self._detecting)

    async def check(self) -> None:
        """Raises a problem with status 503 when reports cannot be stored."""
        await to_thread.run_sync(self._store.check)

    def info(self) -> Info:
        return Info(
            contract=f"{contract.NAME}/{contract.VERSION}",
            implementation="statistics",
            version=__version__,
            model=None,
            revision=None,
            description=(
                f"Rule-based detectors (version {detectors.VERSION}); item-clustered bootstrap, exact paired tests,"
                " Holm's correction."
            ),
        )
