"""A panel of curves whose quantity is chosen in its title."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QComboBox

from napari_asmil.viewer.plots.curves import CurvePanel
from napari_asmil.viewer.quantities import Quantity
from napari_asmil.viewer.scopes import Want


class ChosenPanel(CurvePanel):
    """A panel whose quantity is chosen in its title.

    Parameters
    ----------
    what : str
        What is chosen among.
    log : bool
        Whether its axis may be logarithmic.
    """

    def __init__(self, what: str, *, log: bool = False) -> None:
        super().__init__("", "")
        self.what = what
        self.wants: Sequence[Want] = ()
        self.choice = QComboBox()
        self.choice.setToolTip(f"{what} to draw")
        self.choice.setAccessibleName(what)
        self.choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.choice.setMinimumContentsLength(16)
        self.head.replaceWidget(self.title, self.choice)
        self.title.hide()
        self.log.setVisible(log)

    @property
    def quantity(self) -> Quantity | None:
        """What is chosen."""
        chosen: Quantity | None = self.choice.currentData()
        return chosen

    def offer(self, quantities: Sequence[Quantity]) -> None:
        """Offer these, keeping the choice where it is still there."""
        known = [self.choice.itemData(i) for i in range(self.choice.count())]
        if known == list(quantities):
            return
        before = self.quantity
        with QSignalBlocker(self.choice):
            self.choice.clear()
            for quantity in quantities:
                self.choice.addItem(quantity.title, quantity)
            if before is not None and before in quantities:
                self.choice.setCurrentIndex(list(quantities).index(before))
