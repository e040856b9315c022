"""A number that can be dragged and typed."""

from __future__ import annotations

import math

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QDoubleSpinBox, QHBoxLayout, QSlider, QWidget

STEPS, DECIMALS = 400, 2


class Number(QWidget):
    """A slider and a box of the same number.

    Parameters
    ----------
    value, low, high : float
        At the start, and the ends of the box.
    ends : (float, float), optional
        Ends of the slider, where it does not reach as far as the box.
    log : bool
        Whether the slider's steps multiply.
    """

    valueChanged = Signal(float)
    settled = Signal()
    """The slider was let go, or a number typed."""

    def __init__(
        self, value: float, low: float, high: float, *, ends: tuple[float, float] | None = None, log: bool = False
    ) -> None:
        super().__init__()
        self._ends, self._log = ends or (low, high), log
        self.slider, self.spin = QSlider(Qt.Orientation.Horizontal), QDoubleSpinBox()
        self.slider.setRange(0, STEPS)
        self.spin.setRange(low, high)
        self.spin.setDecimals(DECIMALS)
        self.spin.setSingleStep(0.1)
        self.spin.setKeyboardTracking(False)
        self.spin.setAlignment(Qt.AlignmentFlag.AlignRight)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.slider, 1)
        row.addWidget(self.spin)
        self.slider.valueChanged.connect(self._on_slider)
        self.slider.sliderReleased.connect(self.settled)
        self.spin.valueChanged.connect(self._on_spin)
        self.setValue(value)

    @property
    def dragged(self) -> bool:
        """Whether the slider is held."""
        return bool(self.slider.isSliderDown())

    def value(self) -> float:
        """The number, to two decimals."""
        return float(self.spin.value())

    def setValue(self, value: float) -> None:
        """Show a number; a signal follows where it is another."""
        self.spin.setValue(value)
        self._place()

    def setToolTip(self, tip: str) -> None:
        """Say what it is for wherever the pointer is over it."""
        super().setToolTip(tip)
        for part in (self.slider, self.spin):
            part.setToolTip(tip)
            part.setAccessibleDescription(tip)

    def _on_slider(self, step: int) -> None:
        low, high = self._ends
        share = step / STEPS
        value = low * (high / low) ** share if self._log else low + (high - low) * share
        self.spin.setValue(value)

    def _on_spin(self, value: float) -> None:
        self._place()
        self.valueChanged.emit(value)
        if not self.dragged:
            self.settled.emit()

    def _place(self) -> None:
        """Put the slider where the number is; while it is held it leads."""
        if self.dragged:
            return
        low, high = self._ends
        value = min(max(self.value(), low), high)
        share = math.log(value / low) / math.log(high / low) if self._log else (value - low) / (high - low)
        with QSignalBlocker(self.slider):
            self.slider.setValue(round(share * STEPS))
