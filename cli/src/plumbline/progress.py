"""An experiment as it advances: a bar per phase in a terminal, a line per change elsewhere."""

from types import TracebackType
from typing import Self

from plumbline_contracts.coordinator import Experiment, Phase, PhaseState, Usage
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from .terminal import Terminal, plain


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if not speed else f"{speed:.1f}/s" if speed >= 1 else f"{speed * 60:.1f}/min", style="dim")


class PhaseBars:
    """Show every state of one experiment that it is given."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.live = terminal.console.is_terminal
        self.bars = Progress(
            TextColumn("{task.description:<9}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[counts]}"),
            _Rate(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[note]}", style="yellow", markup=False),
            console=terminal.console,
            disable=not self.live,
        )
        self.tasks: dict[str, TaskID] = {}
        self.told: dict[str, tuple[PhaseState, str | None]] = {}

    def __enter__(self) -> Self:
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bars.stop()

    def show(self, experiment: Experiment) -> None:
        for phase in experiment.phases:
            if self.live:
                self._draw(phase)
            elif self.told.get(phase.name, (PhaseState.PENDING, None)) != (now := (phase.state, phase.message)):
                self.told[phase.name] = now
                self.terminal.say(f"{phase.name.value}: {describe(phase)}")

    def _draw(self, phase: Phase) -> None:
        done = phase.state is PhaseState.DONE
        completed, total = (phase.done, phase.total) if phase.total else (int(done), 1)
        note = "" if done or phase.message is None else plain(phase.message)
        if phase.name not in self.tasks:
            # `completed` from the start: what was done before the watch began must not count as speed.
            self.tasks[phase.name] = self.bars.add_task(
                phase.name.value, completed=completed, total=total, counts="", note=""
            )
        task = self.tasks[phase.name]
        self.bars.update(task, completed=completed, total=total, counts=_counts(phase), note=note)


def describe(phase: Phase) -> str:
    """For example `running 12/800, 1 failed: waits for the generator`."""
    counts = f" {phase.done}/{phase.total}" if phase.total else ""
    reused = f", {phase.reused} reused" if phase.reused else ""
    failed = f", {phase.failed} failed" if phase.failed else ""
    seconds = (
        f" in {(phase.finished - phase.started).total_seconds():.0f} s" if phase.started and phase.finished else ""
    )
    message = f": {phase.message}" if phase.message else ""
    return f"{phase.state.value}{counts}{reused}{failed}{seconds}{message}"


def described(usage: Usage) -> str:
    """For example `URIAL in fr: prompts 52,000 (95% of it cached), written 3,100, saved by ending loops 900`."""
    cached = "" if usage.hit_rate is None else f" ({usage.hit_rate:.0%} of it cached)"
    saved = f", saved by ending loops {usage.tokens_saved:,}" if usage.tokens_saved else ""
    return (
        f"{usage.arm} in {usage.language}: prompts {usage.prompt_tokens:,}{cached}, written {usage.completion_tokens:,}"
        f"{saved}"
    )


def _counts(phase: Phase) -> str:
    if not phase.total:
        return {PhaseState.PENDING: "", PhaseState.RUNNING: "...", PhaseState.DONE: "nothing to do"}[phase.state]
    reused = f" [dim]{phase.reused} reused[/dim]" if phase.reused else ""
    failed = f" [red]{phase.failed} failed[/red]" if phase.failed else ""
    return f"{phase.done}/{phase.total}{reused}{failed}"
