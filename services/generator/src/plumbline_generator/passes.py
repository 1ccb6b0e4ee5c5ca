"""The forward passes of a running batch: one token for each row, or all tokens of prompts that come in."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from .attention import Group, attend, joined, to_prefixes

if TYPE_CHECKING:
    from .replays import Replay


class Shape(NamedTuple):
    """What a model keeps of each token: heads and widths of keys and of values, per layer."""

    layers: tuple[tuple[int, int, int], ...]
    dtype: torch.dtype

    @property
    def bytes_per_token(self) -> int:
        return sum(heads * (key + value) for heads, key, value in self.layers) * self.dtype.itemsize


class Prefix:
    """Tokens with their keys and values, per layer (1, heads, places, width)."""

    def __init__(self, tokens: Sequence[int], keys: list[Tensor], values: list[Tensor]) -> None:
        self.tokens, self.keys, self.values = list(tokens), keys, values
        self._parts: WeakValueDictionary[int, Prefix] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def bytes(self) -> int:
        return sum(part.nbytes for part in [*self.keys, *self.values])

    def until(self, length: int) -> "Prefix":
        """The same of its first tokens; nothing is copied, and who asks again gets the same object."""
        if length in (0, len(self)):
            return self if length else EMPTY
        if (part := self._parts.get(length)) is None:
            keys, values = ([layer[:, :, :length] for layer in part] for part in (self.keys, self.values))
            part = self._parts[length] = Prefix(self.tokens[:length], keys, values)
        return part


EMPTY = Prefix([], [], [])


_PLACES = 256  # Tails grow by so many at least: all that is there is copied then


class Tails:
    """Keys and values that rows have beyond their prefixes: per layer (rows, heads, places, width). Grows as needed."""

    def __init__(self, shape: Shape, device: torch.device) -> None:
        self._shape, self._device = shape, device
        self.rows = self.places = 0
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []
        self.replays: OrderedDict[tuple[int, frozenset[int]], Replay] = OrderedDict()  # by rows and prefixes

    def reserve(self, rows: int, places: int) -> None:
        """Room for so many rows of so many places each; more than that, so that it is seldom asked for."""
        if rows <= self.rows and places <= self.places:
            return
        self.replays.clear()
        if places > self.places:
            places = max(-(-places // _PLACES) * _PLACES, self.places + self.places // 2)
        rows, places = max(rows, self.rows), max(places, self.places)
        self.keys = self._grown(self.keys, [(heads, key) for heads, key, _ in self._shape.layers], rows, places)
        self.values = self._grown(self.values, [(heads, value) for heads, _, value in self._shape.layers], rows, places)
        self.rows, self.places = rows, places

    def move(self, source: int, target: int, places: int) -> None:
        for part in [*self.keys, *self.values]:
            part[target, :, :places] = part[source, :, :places]

    def _grown(self, old: list[Tensor], widths: list[tuple[int, int]], rows: int, places: int) -> list[Tensor]:
        grown = []
        for layer, (heads, width) in enumerate(widths):
            part = torch.zeros(rows, heads, places, width, dtype=self._shape.dtype, device=self._device)
            if old:
                part[: self.rows, :, : self.places] = old[layer]
                old[layer] = part  # the old one is free before the next layer grows
            grown.append(part)
        return grown


def groups_of(prefixes: Sequence[Prefix], device: torch.device) -> list[Group]:
    """Which tokens stand behind which prefix, given the prefix of each."""
    places: dict[int, list[int]] = {}
    for place, prefix in enumerate(prefixes):
        places.setdefault(id(prefix), []).append(place)
    if len(places) == 1:
        return [Group(prefixes[0].keys, prefixes[0].values, None)] if len(prefixes[0]) else []
    of = {id(prefix): prefix for prefix in prefixes}
    return [
        Group(of[key].keys, of[key].values, torch.tensor(tokens, device=device))
        for key, tokens in places.items()
        if len(of[key])
    ]


class OneToken:
    """One new token for each of the first rows: `written` (rows) tells how many places of its tail each has filled, and
    of `places` those beyond are masked where that is needed."""

    def __init__(self, tails: Tails, written: Tensor, places: int, *, masked: bool) -> None:
        self._tails, self._written, self._places = tails, written, places
        self._rows = torch.arange(len(written), device=written.device)
        self._mask: Tensor | None = None
        if masked:
            unseen = torch.arange(places, device=written.device) > written[:, None]
            nothing = torch.zeros(unseen.shape, dtype=tails.keys[0].dtype, device=written.device)
            self._mask = nothing.masked_fill(unseen, float("-inf"))[:, None, None]

    def to_prefixes(self, query: Tensor, layer: int, scale: float) -> tuple[Tensor, Tensor] | None:
        """Attention of queries (rows, key heads, queries per head, width) to the prefix of each, if any has one."""
        raise NotImplementedError

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        keys, values = self._tails.keys[layer], self._tails.values[layer]
        rows, heads = query.shape[0], key.shape[1]
        keys[self._rows, :, self._written] = key[:, :, 0]
        values[self._rows, :, self._written] = value[:, :, 0]
        by_head = query.view(rows, heads, -1, query.shape[-1])
        seen_keys, seen_values = keys[:rows, :, : self._places], values[:rows, :, : self._places]
        own = attend(by_head, seen_keys, seen_values, scale, mask=self._mask)
        behind = self.to_prefixes(by_head, layer, scale)
        whole = own[0] if behind is None else joined(own, behind)
        return whole.reshape(rows, query.shape[1], 1, -1)


class Decode(OneToken):
    """As many places as the longest tail has, and each prefix meets the rows behind it."""

    def __init__(self, tails: Tails, prefixes: Sequence[Prefix], written: Sequence[int], device: torch.device) -> None:
        places = max(written) + 1
        super().__init__(tails, torch.tensor(written, device=device), places, masked=min(written) + 1 < places)
        self._groups = groups_of(prefixes, device)

    def to_prefixes(self, query: Tensor, layer: int, scale: float) -> tuple[Tensor, Tensor] | None:
        return to_prefixes(query, self._groups, layer, scale) if self._groups else None


class Span(NamedTuple):
    """The tokens of one row among those of a pass."""

    prefix: Prefix
    start: int
    stop: int


class Stored(Exception):
    """A pass has kept all that it was to keep."""


class Prefill:
    """All tokens of several rows, one row after the other in a batch of one; where only what they keep is wanted, it is
    Stored once the layer `until` has kept its part."""

    def __init__(self, spans: Sequence[Span], device: torch.device, until: int | None) -> None:
        self.spans, self._until = spans, until
        behind = [span.prefix for span in spans for _ in range(span.start, span.stop)]
        self._groups = groups_of(behind, device)

    def keep(self, layer: int, key: Tensor, value: Tensor) -> None:
        """Of all tokens: (1, heads, tokens, width)."""
        raise NotImplementedError

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        self.keep(layer, key, value)
        if layer == self._until:
            raise Stored
        heads, shared = key.shape[1], query.shape[1] // key.shape[1]
        if shared > 1 and not query.is_cpu:  # whose kernel shares keys by itself
            key, value = key.repeat_interleave(shared, 1), value.repeat_interleave(shared, 1)
        own = [self._alone(span, query, key, value, scale) for span in self.spans if span.stop > span.start]
        output, logarithm = torch.cat([one[0] for one in own], 2), torch.cat([one[1] for one in own], 2)
        if not self._groups:
            return output
        tokens, width = query.shape[2], query.shape[3]
        by_token = query[0].view(heads, shared, tokens, width).permute(2, 0, 1, 3)
        prefix, prefix_logarithm = to_prefixes(by_token, self._groups, layer, scale)
        behind = (
            prefix.permute(1, 2, 0, 3).reshape(output.shape),
            prefix_logarithm.permute(1, 2, 0).reshape(logarithm.shape),
        )
        return joined(behind, (output, logarithm))

    @staticmethod
    def _alone(span: Span, query: Tensor, key: Tensor, value: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        query, key, value = (part[:, :, span.start : span.stop] for part in (query, key, value))
        return attend(query, key, value, scale, causal=True)


class IntoTails(Prefill):
    """Rows that come in: the first of `spans` gets the row `first` of the tails. Nothing else of them is wanted."""

    def __init__(self, spans: Sequence[Span], tails: Tails, first: int, device: torch.device) -> None:
        super().__init__(spans, device, until=len(tails.keys) - 1)
        self._tails, self._first = tails, first

    def keep(self, layer: int, key: Tensor, value: Tensor) -> None:
        for row, span in enumerate(self.spans, self._first):
            self._tails.keys[layer][row, :, : span.stop - span.start] = key[0, :, span.start : span.stop]
            self._tails.values[layer][row, :, : span.stop - span.start] = value[0, :, span.start : span.stop]


class IntoPrefix(Prefill):
    """A prefix that grows by some tokens."""

    def __init__(self, prefix: Prefix, tokens: Sequence[int], device: torch.device, until: int | None = None) -> None:
        super().__init__([Span(prefix, 0, len(tokens))], device, until)
        self._prefix, self._tokens = prefix, tokens
        self._keys: list[Tensor] = []
        self._values: list[Tensor] = []

    def keep(self, layer: int, key: Tensor, value: Tensor) -> None:
        behind = len(self._prefix) > 0
        self._keys.append(torch.cat([self._prefix.keys[layer], key], 2) if behind else key.contiguous())
        self._values.append(torch.cat([self._prefix.values[layer], value], 2) if behind else value.contiguous())

    def prefix(self) -> Prefix:
        return Prefix([*self._prefix.tokens, *self._tokens], self._keys, self._values)


def positions(starts: Iterable[tuple[int, int]], device: torch.device) -> Tensor:
    """(1, tokens): the places from each start on, so many as are told."""
    return torch.cat([torch.arange(start, start + count, device=device) for start, count in starts])[None]
