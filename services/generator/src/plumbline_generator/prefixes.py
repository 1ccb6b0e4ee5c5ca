"""What prompts begin with, computed once for all that begin the same; kept as long as there is room."""

from collections import OrderedDict, deque
from collections.abc import Sequence

from .forward import SharedForward
from .passes import EMPTY, Prefix

LEAST = 16  # tokens that are worth a prefix of their own
_RECENT = 8


class Prefixes:
    """The least recently used goes first. `limit` is in bytes."""

    def __init__(self, forward: SharedForward, limit: int) -> None:
        self._forward, self._limit = forward, limit
        self._kept: OrderedDict[int, Prefix] = OrderedDict()
        self._recent: deque[Sequence[int]] = deque(maxlen=_RECENT)

    @property
    def bytes(self) -> int:
        return sum(prefix.bytes for prefix in self._kept.values())

    def of(self, tokens: Sequence[int], shared: int) -> tuple[Prefix, int]:
        """A prefix of these tokens, at least one shorter, and how many of its tokens had to be computed now.

        `shared` is how many tokens are known to begin other prompts, too; where that is little, what the last prompts
        had in common counts.
        """
        most = len(tokens) - 1
        shared = min(shared if shared >= LEAST else self._common_with_recent(tokens), most)
        found, common = self._longest(tokens[:most])
        if shared - common >= LEAST:
            grown = self._forward.prefix(tokens[common:shared], found.until(common))
            self._keep(grown, instead_of=found if common == len(found) else None)
            return grown, shared - common
        self._keep(found)
        length = min(common, shared) if shared >= LEAST else common
        return (found.until(length), 0) if length >= LEAST else (EMPTY, 0)

    def _common_with_recent(self, tokens: Sequence[int]) -> int:
        common = max((common_length(tokens, other) for other in self._recent), default=0)
        self._recent.append(tokens)
        return common

    def _longest(self, tokens: Sequence[int]) -> tuple[Prefix, int]:
        candidates = [(prefix, common_length(tokens, prefix.tokens)) for prefix in self._kept.values()]
        return max(candidates, key=lambda candidate: candidate[1], default=(EMPTY, 0))

    def _keep(self, prefix: Prefix, instead_of: Prefix | None = None) -> None:
        if instead_of is not None:
            self._kept.pop(id(instead_of), None)
        if len(prefix):
            self._kept.pop(id(prefix), None)
            self._kept[id(prefix)] = prefix
        while self._kept and self.bytes > self._limit:
            self._kept.popitem(last=False)


def common_length(*sequences: Sequence[int]) -> int:
    """With how many elements all of them begin the same."""
    differ = (place for place, elements in enumerate(zip(*sequences, strict=False)) if len(set(elements)) > 1)
    return next(differ, min(map(len, sequences)))
