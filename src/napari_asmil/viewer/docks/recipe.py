"""The form of a recipe: it builds the same object as the command line and Python do."""

from __future__ import annotations

from typing import Any

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QAbstractSpinBox, QComboBox, QDoubleSpinBox, QFormLayout, QGroupBox, QLabel, QSpinBox

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.training import PRESETS, VARIANTS, AnchorRecipe, Recipe, preset
from napari_asmil.viewer.docks.base import add_row

NORMALIZERS = {"nsf": "NSF", "softmax": "softmax", "entmax": "entmax"}
RECORDS = {"held-out": "held-out + some", "all": "all slides"}


class Number(QDoubleSpinBox):
    """A real number as a person writes it (1e-4 too), within the bounds of a field of the recipe."""

    def __init__(self, model: type[BaseModel], name: str) -> None:
        super().__init__()
        self.setDecimals(9)
        self.setRange(*bounds(model, name, smallest=1e-9))
        self.setStepType(QAbstractSpinBox.StepType.AdaptiveDecimalStepType)

    def textFromValue(self, value: float) -> str:
        """Write without needless zeros."""
        return f"{value:.6g}"

    def valueFromText(self, text: str) -> float:
        """Read either notation."""
        return float(text)

    def validate(self, text: str, position: int) -> Any:
        """Let a person type what may become a number."""
        from qtpy.QtGui import QValidator

        try:
            inside = self.minimum() <= float(text) <= self.maximum()
        except ValueError:
            started = not text.strip("0123456789.eE+-")
            return (QValidator.State.Intermediate if started else QValidator.State.Invalid), text, position
        return (QValidator.State.Acceptable if inside else QValidator.State.Intermediate), text, position


def bounds(model: type[BaseModel], name: str, *, smallest: float = 1.0, largest: float = 1e6) -> tuple[float, float]:
    """Return the bounds a pydantic model sets for a field; open bounds are moved in by `smallest`."""
    low, high = 0.0, largest
    for rule in model.model_fields[name].metadata:
        if isinstance(rule, Ge):
            low = float(rule.ge)  # type: ignore[arg-type]
        elif isinstance(rule, Gt):
            low = float(rule.gt) + smallest  # type: ignore[arg-type]
        elif isinstance(rule, Le):
            high = float(rule.le)  # type: ignore[arg-type]
        elif isinstance(rule, Lt):
            high = float(rule.lt) - smallest  # type: ignore[arg-type]
    return low, high


def _whole(name: str) -> QSpinBox:
    box = QSpinBox()
    low, high = bounds(Recipe, name)
    box.setRange(int(low), int(high))
    return box


class RecipeForm(QGroupBox):
    """Method and preset, and the fields people change most; the rest is the preset's."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__("Recipe")
        self.variant, self.preset, self.normalizer, self.record = (QComboBox() for _ in range(4))
        self.epochs, self.seed = _whole("epochs"), _whole("seed")
        self.lr = Number(Recipe, "lr")
        self.beta, self.momentum = Number(AnchorRecipe, "beta"), Number(AnchorRecipe, "momentum")
        self.words = QLabel()
        self.words.setWordWrap(True)
        self._fields = (self.epochs, self.lr, self.normalizer, self.beta, self.momentum, self.record, self.seed)
        self._fill()
        self._lay_out()
        self._restore()
        self.variant.currentIndexChanged.connect(self._restore)
        self.preset.currentIndexChanged.connect(self._restore)
        for field in self._fields:
            signal = field.currentIndexChanged if isinstance(field, QComboBox) else field.valueChanged
            signal.connect(self.changed)

    def _fill(self) -> None:
        for name in VARIANTS:
            self.variant.addItem(preset("stable", name).label, name)
        self.variant.setCurrentIndex(self.variant.findData("asmil"))
        for name, (words, _) in PRESETS.items():
            self.preset.addItem(name, words)
        for name, label in NORMALIZERS.items():
            self.normalizer.addItem(label, name)
        for name, label in RECORDS.items():
            self.record.addItem(label, name)

    def _lay_out(self) -> None:
        form = QFormLayout(self)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setContentsMargins(6, 6, 6, 6)
        form.setVerticalSpacing(5)
        add_row(form, "Method", self.variant, "The model, and the anchor that steadies its attention")
        add_row(form, "Preset", self.preset, "Where all settings are from; the fields below change some of them")
        form.addRow(self.words)
        add_row(form, "Epochs", self.epochs, "Passes over the training bags after the initialisation")
        add_row(form, "Learning rate", self.lr, "At the start; it falls over the training")
        add_row(
            form, "Anchor map", self.normalizer, "How the anchor's scores become the map that the model is drawn to"
        )
        add_row(form, "Anchor weight β", self.beta, "How hard the anchor pulls: weight of the KL in the loss")
        add_row(form, "Anchor momentum", self.momentum, "How slowly the anchor follows: its EMA factor per step")
        add_row(
            form,
            "Record",
            self.record,
            "Slides whose attention is kept: held-out ones and some others, or all; the open one always",
        )
        add_row(form, "Seed", self.seed, "Of the weights and the order of the bags: the same seed, the same training")
        for field in (self.variant, self.preset, self.normalizer, self.record):
            field.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            field.setMinimumContentsLength(10)

    def recipe(self) -> Recipe:
        """Build the recipe that the form describes.

        Raises
        ------
        InputError
            When it does not fit.
        """
        base = self._preset()
        changes: dict[str, Any] = {
            "epochs": self.epochs.value(),
            "lr": self.lr.value(),
            "seed": self.seed.value(),
            "record": self.record.currentData(),
        }
        if base.anchor is not None:
            anchor = {"beta": self.beta.value(), "momentum": self.momentum.value()}
            if self.normalizer.currentData() != base.anchor.normalizer.name:
                anchor["normalizer"] = Normalizer(self.normalizer.currentData())
            changes["anchor"] = {**base.anchor.model_dump(), **anchor}
        return base.changed(**changes)

    def set_enabled(self, enabled: bool) -> None:
        """Let the recipe be changed, or hold it while it is trained."""
        for field in (self.variant, self.preset, *self._fields):
            field.setEnabled(enabled)
        if enabled:
            self._enable_anchor()

    def _preset(self) -> Recipe:
        return preset(self.preset.currentText(), self.variant.currentData())

    def _restore(self) -> None:
        """Take the fields from the preset."""
        recipe = self._preset()
        blockers = [QSignalBlocker(field) for field in self._fields]
        self.epochs.setValue(recipe.epochs)
        self.lr.setValue(recipe.lr)
        self.seed.setValue(recipe.seed)
        self.record.setCurrentIndex(self.record.findData(recipe.record))
        if recipe.anchor is not None:
            self.normalizer.setCurrentIndex(self.normalizer.findData(recipe.anchor.normalizer.name))
            self.beta.setValue(recipe.anchor.beta)
            self.momentum.setValue(recipe.anchor.momentum)
        del blockers
        self.words.setText(self.preset.currentData())
        self._enable_anchor()
        self.changed.emit()

    def _enable_anchor(self) -> None:
        anchored = self._preset().anchor is not None
        for field in (self.normalizer, self.beta, self.momentum):
            field.setEnabled(anchored)
