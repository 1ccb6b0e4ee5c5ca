"""Steps of a running batch on a GPU, recorded once and replayed: to start a model's thousand small kernels one by one
takes ten times as long as they run."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .attention import to_all
from .passes import OneToken, Prefix, Tails

if TYPE_CHECKING:
    from .forward import SharedForward

SETTLED = 3  # steps behind the same prefixes before one is recorded, for which it is run, too
_MOST_PREFIXES = 8  # all rows meet each of them
_MOST_RECORDS = 8


def can_record(device: torch.device) -> bool:
    return device.type == "cuda"


class FixedDecode(OneToken):
    """In shapes that do not change while the tails stay: all their places, and all rows meet every prefix. `behind`
    (rows) is the number of a row's own; what is not that is left out."""

    def __init__(self, tails: Tails, prefixes: Sequence[Prefix], written: Tensor, behind: Tensor) -> None:
        super().__init__(tails, written, tails.places, masked=True)
        self._prefixes = [(prefix, (behind == number)[:, None, None]) for number, prefix in enumerate(prefixes)]

    def to_prefixes(self, query: Tensor, layer: int, scale: float) -> tuple[Tensor, Tensor] | None:
        output: Tensor | None = None
        for prefix, mine in self._prefixes:
            found = to_all(query, prefix.keys[layer], prefix.values[layer], scale)
            if output is None:
                output, logarithm = torch.zeros_like(found[0]), torch.full_like(found[1], float("-inf"))
            output = torch.where(mine[..., None], found[0], output)
            logarithm = torch.where(mine, found[1], logarithm)
        return None if output is None else (output, logarithm)


class Replay:
    """One step for the first rows of the tails, whatever they have written; those beyond the given ones are idle."""

    def __init__(self, forward: "SharedForward", tails: Tails, prefixes: Sequence[Prefix], rows: int) -> None:
        self._forward, self._tails, self._prefixes = forward, tails, prefixes
        self._numbers = {id(prefix): number for number, prefix in enumerate(prefixes)}
        self._inputs = torch.zeros(4, rows, dtype=torch.long, device=forward.device)
        self._step: Callable[[], Tensor] | None = None

    def logits(self, prefixes: Sequence[Prefix], written: Sequence[int], tokens: Sequence[int]) -> Tensor:
        """Of the given rows (rows, vocabulary); valid until the next call."""
        places = [len(prefix) + count for prefix, count in zip(prefixes, written, strict=True)]
        behind = [self._numbers.get(id(prefix), -1) for prefix in prefixes]
        self._inputs[:, : len(tokens)] = torch.tensor([tokens, places, written, behind])
        self._inputs[:, len(tokens) :] = 0  # an idle row writes where the next one to come begins
        if self._step is None:
            self._step = recorded(self._run)
        return self._step()[: len(tokens)]

    def _run(self) -> Tensor:
        tokens, places, written, behind = self._inputs
        step = FixedDecode(self._tails, self._prefixes, written, behind)
        return self._forward.logits(tokens[:, None], places[:, None], step)[:, 0]


class Replays:
    """Which step of a batch is worth recording. Records stand in the tails, whose memory they write to."""

    def __init__(self, forward: "SharedForward") -> None:
        self._forward, self._last, self._steps = forward, frozenset[int](), 0

    def of(self, tails: Tails, prefixes: Sequence[Prefix]) -> Replay | None:
        """None where prefixes have only just come together, or are too many."""
        distinct = {id(prefix): prefix for prefix in prefixes if len(prefix)}
        rows = min(tails.rows, 1 << (len(prefixes) - 1).bit_length())
        key = rows, frozenset(distinct)
        self._steps = self._steps + 1 if self._last == key[1] else 0
        self._last = key[1]
        if (replay := tails.replays.get(key)) is None:
            if self._steps < SETTLED or len(distinct) > _MOST_PREFIXES:
                return None
            if len(tails.replays) == _MOST_RECORDS:
                tails.replays.popitem(last=False)
            replay = Replay(self._forward, tails, list(distinct.values()), rows)
        tails.replays[key] = replay
        tails.replays.move_to_end(key)
        return replay


def recorded(run: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Runs it, and gives what does the same again in the same memory. A step may run twice: it writes the same."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # libraries choose their kernels in a first run, which cannot be recorded
        run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):  # other threads may load a model meanwhile
        logits = run()

    def replay() -> Tensor:
        graph.replay()
        return logits

    return replay
