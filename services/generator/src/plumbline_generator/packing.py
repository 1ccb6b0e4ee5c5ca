"""A model's layers in forms that take less time."""

from torch import nn

from .layers import Layer, Rotation, short_norm
from .products import packed


class Packing:
    """Of all layers of a model that have such a form, for steps of about so many rows, until it is undone. `whole`:
    decoder layers as such, and not only what they consist of."""

    def __init__(self, model: nn.Module, rows: int, *, whole: bool = True) -> None:
        self._rows, self._whole = rows, whole
        self._replaced: list[tuple[nn.Module, str, nn.Module]] = []
        self._replace_in(model)

    def undo(self) -> None:
        for parent, name, child in self._replaced:
            setattr(parent, name, child)

    def _replace_in(self, parent: nn.Module) -> None:
        for name, child in list(parent.named_children()):
            form = self._form(child)
            if form is child:
                self._replace_in(child)
            else:
                setattr(parent, name, form)
                self._replaced.append((parent, name, child))

    def _form(self, layer: nn.Module) -> nn.Module:
        if self._whole and (whole := Layer.of(layer, self._rows) or Rotation.of(layer)) is not None:
            return whole
        return packed(layer, self._rows) if type(layer) is nn.Linear else short_norm(layer)
