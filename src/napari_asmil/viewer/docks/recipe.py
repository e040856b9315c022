"""The form of a recipe: it builds the same object as the command line and Python do."""

from __future__ import annotations

from typing import Any

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QGroupBox,
    QLabel,
    QLineEdit,
    QSpinBox,
)

from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.mil.names import method_names
from napari_asmil.training import PRESETS, STABILIZERS, AnchorRecipe, Recipe, changed_by, preset, variant_of
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


class Momentum(Number):
    """An EMA factor, or the one with the paper's half-life (None), at the field's lower end."""

    def __init__(self) -> None:
        super().__init__(AnchorRecipe, "momentum")
        self.setMinimum(-1.0)
        self.setSpecialValueText("paper's half-life")

    def momentum(self) -> float | None:
        """Return the factor of the recipe."""
        return None if self.value() < 0 else self.value()

    def validate(self, text: str, position: int) -> Any:
        """Let the words of the lower end stand."""
        from qtpy.QtGui import QValidator

        if text == self.specialValueText():
            return QValidator.State.Acceptable, text, position
        return super().validate(text, position)

    def stepBy(self, steps: int) -> None:
        """Step over what is no factor."""
        before = self.value()
        super().stepBy(steps)
        if -1 < self.value() < 0:
            self.setValue(0.0 if before < 0 else -1.0)


class RecipeForm(QGroupBox):
    """Method, what steadies it, and preset, and the fields people change most; the rest is the preset's."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__("Recipe")
        self.method, self.steadied, self.preset, self.normalizer, self.record = (QComboBox() for _ in range(5))
        self.epochs, self.seed = _whole("epochs"), _whole("seed")
        self.lr = Number(Recipe, "lr")
        self.beta, self.momentum = Number(AnchorRecipe, "beta"), Momentum()
        self.further = QLineEdit()
        self.words = QLabel()
        self.words.setWordWrap(True)
        self._fields = (self.epochs, self.lr, self.normalizer, self.beta, self.momentum, self.record, self.seed)
        self._fill()
        self._lay_out()
        self._restore()
        for choice in (self.method, self.steadied, self.preset):
            choice.currentIndexChanged.connect(self._restore)
        for field in self._fields:
            signal = field.currentIndexChanged if isinstance(field, QComboBox) else field.valueChanged
            signal.connect(self.changed)
        self.further.textChanged.connect(self.changed)

    def _fill(self) -> None:
        for name in method_names():
            self.method.addItem(preset("stable", variant_of(name)).label.removesuffix(" without anchor"), name)
        for ending, (words, _) in STABILIZERS.items():
            self.steadied.addItem(words, ending)
        self.choose("asmil", "nsf")
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
        add_row(form, "Method", self.method, "The model that learns from bags")
        add_row(form, "Steadied by", self.steadied, "What is added to the loss to steady the model's attention")
        add_row(form, "Preset", self.preset, "Where all settings are from; the fields below change some of them")
        form.addRow(self.words)
        add_row(form, "Epochs", self.epochs, "Passes over the training bags after the initialisation")
        add_row(form, "Learning rate", self.lr, "At the start; it falls over the training")
        add_row(
            form, "Anchor map", self.normalizer, "How the anchor's scores become the map that the model is drawn to"
        )
        add_row(form, "Weight", self.beta, "Weight in the loss of what steadies: β of the KL, λ of the entropy")
        add_row(
            form,
            "Momentum",
            self.momentum,
            "How slowly anchor or ensemble follows: its EMA factor; at the lower end the factor that forgets half in"
            " 2.85 epochs, as the paper's does",
        )
        add_row(
            form,
            "Record",
            self.record,
            "Slides whose attention is kept: held-out ones and some others, or all; the open one always",
        )
        add_row(form, "Seed", self.seed, "Of the weights and the order of the bags: the same seed, the same training")
        self.further.setPlaceholderText("dim=64, heads=4")
        add_row(
            form,
            "Further",
            self.further,
            "Any other change, NAME=VALUE with commas between: a setting of the method (`napari-asmil methods` lists"
            " them), of the anchor (temperature, offset, kl_rows ...) or of the recipe (clip, subsample ...)",
        )
        for field in (self.method, self.steadied, self.preset, self.normalizer, self.record):
            field.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            field.setMinimumContentsLength(16)

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
        if base.entropy is not None:
            changes["entropy"] = {**base.entropy.model_dump(), "weight": self.beta.value()}
        if base.ensemble is not None:
            changed = {"beta": self.beta.value(), "momentum": self.momentum.momentum()}
            changes["ensemble"] = {**base.ensemble.model_dump(), **changed}
        if base.anchor is not None:
            anchor = {"beta": self.beta.value(), "momentum": self.momentum.momentum()}
            if self.normalizer.currentData() != base.anchor.normalizer.name:
                anchor["normalizer"] = Normalizer(self.normalizer.currentData())
            changes["anchor"] = {**base.anchor.model_dump(), **anchor}
        return changed_by(base.changed(**changes), self.further.text())

    @property
    def variant(self) -> str:
        """Name of the method with what steadies it."""
        return variant_of(self.method.currentData(), self.steadied.currentData())

    def choose(self, method: str, ending: str) -> None:
        """Choose a method and what steadies it."""
        self.method.setCurrentIndex(self.method.findData(method))
        self.steadied.setCurrentIndex(self.steadied.findData(ending))

    def set_enabled(self, enabled: bool) -> None:
        """Let the recipe be changed, or hold it while it is trained."""
        for field in (self.method, self.steadied, self.preset, self.further, *self._fields):
            field.setEnabled(enabled)
        if enabled:
            self._enable_what_steadies()

    def _preset(self) -> Recipe:
        return preset(self.preset.currentText(), self.variant)

    def _restore(self) -> None:
        """Take the fields from the preset."""
        try:
            recipe = self._preset()
        except InputError as error:
            self.words.setText(str(error))
            self._enable_what_steadies()
            return
        blockers = [QSignalBlocker(field) for field in self._fields]
        self.epochs.setValue(recipe.epochs)
        self.lr.setValue(recipe.lr)
        self.seed.setValue(recipe.seed)
        self.record.setCurrentIndex(self.record.findData(recipe.record))
        if recipe.anchor is not None:
            self.normalizer.setCurrentIndex(self.normalizer.findData(recipe.anchor.normalizer.name))
        if recipe.entropy is not None:
            self.beta.setValue(recipe.entropy.weight)
        moving = recipe.anchor or recipe.ensemble
        if moving is not None:
            self.beta.setValue(moving.beta)
            self.momentum.setValue(-1.0 if moving.momentum is None else moving.momentum)
        del blockers
        self.words.setText(self.preset.currentData())
        self._enable_what_steadies()
        self.changed.emit()

    def _enable_what_steadies(self) -> None:
        ending = self.steadied.currentData()
        self.normalizer.setEnabled(ending in ("nsf", "softmax"))
        self.beta.setEnabled(ending != "")
        self.momentum.setEnabled(ending in ("nsf", "softmax", "ensemble"))
