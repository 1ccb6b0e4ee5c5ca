"""The analyzer: detectors and statistics in worker threads, one report per analysis in the artifact store."""

from anyio import CapacityLimiter, to_thread
from plumbline_contracts import analyzer as contract
from plumbline_contracts.common import Info
from plumbline_kit.artifacts import ArtifactStore

from . import __version__, detectors, findings, observations, report
from .aggregate import Aggregate
from .detectors.language import LanguageIdentifier


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
        aggregate = Aggregate(request, observations.read(request, self._store))
        means, rates = list(aggregate.means()), list(aggregate.error_rates())
        differences = list(aggregate.differences())
        results = findings.results(request, rates, differences)
        warnings = findings.warnings(request, means, rates)
        page = report.render(aggregate, report.Contents(means, rates, differences, results, warnings))
        return contract.AnalysisResponse(
            means=means,
            error_rates=rates,
            differences=[compared.difference for compared in differences],
            findings=[result.sentence for result in results] + warnings,
            report=self._store.put_bytes(page.encode(), name=f"report-{request.experiment}"),
        )

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
            description=f"Rule-based detectors (version {detectors.VERSION}), bootstrap and Wilson intervals.",
        )
