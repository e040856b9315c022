"""The form that says which map is shown: run, slide, normaliser, row, display transform, limits."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from napari.utils.notifications import show_error
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QComboBox, QFormLayout, QGroupBox, QLabel

from napari_asmil.analysis.display import TRANSFORMS, Transform
from napari_asmil.analysis.normalizers import Normalizer
from napari_asmil.errors import InputError
from napari_asmil.runs import MapView, Run, Source, sources
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.docks.base import add_row
from napari_asmil.viewer.docks.number import DECIMALS, Number
from napari_asmil.viewer.keys import words
from napari_asmil.viewer.steps import go_to_slide

STORED, ANCHOR = "stored", "stored anchor"
LIMITS = ("locked, all epochs", "each epoch alone")
NUMBERS = {
    "temperature": ("T", "Temperature, divides the scores: below 1 sharper, above 1 flatter"),
    "offset": ("Offset", "Added to z / T before the sigmoid of NSF"),
    "alpha": ("Order α", "Order of entmax: towards 1 softmax, 2 is sparsemax"),
}
TUNING_MS = 30
"""While a number is dragged the map follows at most this often."""
USES = {"softmax": ("temperature",), "nsf": ("temperature", "offset"), "entmax": ("alpha",)}
TITLES = {"softmax": "softmax", "nsf": "NSF", "entmax": "entmax"}


class Chooser(QGroupBox):
    """Shows the map that its fields name, and names the map that is shown."""

    def __init__(self, controller: Controller) -> None:
        super().__init__("Map")
        self._controller = controller
        self._filling = False
        self.run, self.slide, self.normalizer, self.row = (QComboBox() for _ in range(4))
        self.transform, self.limits = QComboBox(), QComboBox()
        self.numbers = {
            "temperature": Number(1.0, 0.01, 100.0, ends=(0.05, 20.0), log=True),
            "offset": Number(0.0, -50.0, 50.0, ends=(-10.0, 10.0)),
            "alpha": Number(1.5, 1.01, 10.0, ends=(1.05, 4.0)),
        }
        self._tuned = QTimer(self)
        self._tuned.setSingleShot(True)
        self._tuned.setInterval(TUNING_MS)
        self._tuned.timeout.connect(self._on_choice)
        self.reasons = QLabel()
        self.reasons.setWordWrap(True)
        self._lay_out()
        self._fill_transforms(TRANSFORMS)
        self.limits.addItems(LIMITS)
        self.run.currentIndexChanged.connect(self._on_run)
        self.slide.currentIndexChanged.connect(self._on_slide)
        for field in (self.normalizer, self.row, self.transform):
            field.currentIndexChanged.connect(self._on_choice)
        for number in self.numbers.values():
            number.valueChanged.connect(self._on_number)
            number.settled.connect(self._on_settled)
        self.limits.currentIndexChanged.connect(self._on_limits)
        controller.runs_changed.connect(self.fill)
        controller.map_changed.connect(self.fill)
        self.fill()

    def _lay_out(self) -> None:
        form = self._form = QFormLayout(self)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        runs_tip = "A recorded training; open more in Open slide and bags. Keys: " + words(";", "'", "/")
        add_row(form, "Run", self.run, runs_tip)
        slides_tip = "The slides this run recorded with the places of their tiles. Keys: " + words("[", "]")
        add_row(form, "Slide", self.slide, slides_tip)
        add_row(form, "Attention", self.normalizer, "How scores become probabilities over the tiles")
        for name, (label, tip) in NUMBERS.items():
            add_row(form, label, self.numbers[name], tip)
        add_row(form, "Row", self.row, "Mean over heads or tokens, or one of them")
        add_row(form, "Shown as", self.transform, "Display transform: what number gets a colour")
        add_row(form, "Limits", self.limits, "Colour limits: the same for all epochs, or of each epoch alone")
        form.addRow(self.reasons)
        for field in (self.run, self.slide, self.normalizer, self.row, self.transform, self.limits):
            field.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            field.setMinimumContentsLength(15)
            field.currentTextChanged.connect(partial(_say_all, field, field.toolTip()))

    def _fill_transforms(self, transforms: Mapping[str, Transform]) -> None:
        refill(self.transform, [(each.label, name) for name, each in transforms.items()], self.transform.currentData())
        for at, each in enumerate(transforms.values()):
            self.transform.setItemData(at, each.unit, Qt.ItemDataRole.ToolTipRole)

    # ---- what the fields say ------------------------------------------------------------------

    @property
    def source(self) -> Source:
        """What the fields name."""
        chosen = self.normalizer.currentData()
        if chosen in (STORED, ANCHOR, None):
            return Source(branch="anchor" if chosen == ANCHOR else "online")
        given = {name: self._number(chosen, name) for name in USES[chosen]}
        return Source(Normalizer(chosen, **given), self.row.currentData())

    def _number(self, chosen: str, name: str) -> float:
        """What a box says, or the number of the map that is shown where the box merely rounds it."""
        value, view = self.numbers[name].value(), self._controller.map
        shown = None if view is None else view.source.normalizer
        if shown is None or shown.name != chosen:
            return value
        exact = float(getattr(shown, name))
        return exact if abs(exact - value) < 0.51 * 10**-DECIMALS else value

    def _on_run(self) -> None:
        run: Run | None = self.run.currentData()
        if self._filling or run is None:
            return
        known = [slide.slide_id for slide in run.slides if slide.tiles is not None]
        before = self.slide.currentData()
        slide = before if before in known else next(iter(known), None)
        if slide is None:
            show_error(f"No slide of {run.name} has tile coordinates, so none of its maps has a place.")
            self.fill()
        else:
            self._show(run, slide, Source())

    def _on_slide(self) -> None:
        if self._filling or self.slide.currentData() is None:
            return
        self._try(lambda: go_to_slide(self._controller, self.slide.currentData()))

    def _on_choice(self) -> None:
        if self._filling or self._controller.current is None:
            return
        self._show(*self._controller.current, self.source)
        if self._controller.comparison.active:
            self._controller.comparison.show(self.transform.currentData())

    def _on_number(self) -> None:
        """Follow a number that is dragged; what is typed is shown when it is settled."""
        if not self._filling and any(number.dragged for number in self.numbers.values()):
            self._controller.tuning = True
            if not self._tuned.isActive():
                self._tuned.start()

    def _on_settled(self) -> None:
        if not self._filling:
            self._tuned.stop()
            self._controller.tuning = False
            self._on_choice()

    def _on_limits(self) -> None:
        if not self._filling:
            self._controller.set_locked(self.limits.currentIndex() == 0)

    def _show(self, run: Run, slide_id: str, source: Source) -> None:
        self._try(lambda: self._controller.show_map(run, slide_id, source, self.transform.currentData()))

    def _try(self, act: object) -> None:
        try:
            act()  # type: ignore[operator]
        except InputError as error:
            show_error(str(error))
            self.fill()

    # ---- what is shown ------------------------------------------------------------------------

    def fill(self) -> None:
        """Let the fields name what is shown."""
        self._filling = True
        try:
            self._fill()
        finally:
            self._filling = False

    def _fill(self) -> None:
        controller, view = self._controller, self._controller.map
        runs = list(controller.runs)
        refill(self.run, [(f"{run.name} · {run.label}", run) for run in runs], None if view is None else view.run)
        self.limits.setCurrentIndex(0 if controller.locked else 1)
        comparing = controller.comparison.active
        self.run.setEnabled(not comparing)
        for field in (self.slide, self.transform, self.limits):
            field.setEnabled(view is not None)
        for field in (self.normalizer, self.row, *self.numbers.values()):
            field.setEnabled(view is not None and not comparing)
        if view is None:
            self.reasons.setText("Open a run, or train one; its maps appear here." if not runs else "Choose a run.")
            if runs:
                self.run.setCurrentIndex(-1)
            return
        self._fill_from(view)

    def _fill_from(self, view: MapView) -> None:
        placed = [slide for slide in view.run.slides if slide.tiles is not None]
        refill(self.slide, [(_slide_title(view.run, slide), slide.slide_id) for slide in placed], view.slide.slide_id)
        offered, reasons = sources(view.run, view.slide.slide_id)
        if len(placed) < len(view.run.slides):
            reasons.append(f"{len(view.run.slides) - len(placed)} slides have no tile coordinates and no map.")
        refill(self.normalizer, _normalizer_titles(view.run, offered), _kind(view.source))
        rows = dict.fromkeys(source.row for source in offered if source.normalizer is not None) or {"mean": None}
        derived = view.source.normalizer is not None
        refill(self.row, [(row, row) for row in rows], view.source.row)
        self.row.setEnabled(self.row.isEnabled() and derived and len(rows) > 1)
        if not derived and len(view.run.row_names) > 1 and view.slide.has_scores:
            reasons.append("To see one row, choose softmax, NSF or entmax: what is stored is all rows joined.")
        for name, number in self.numbers.items():
            used = view.source.normalizer is not None and name in USES[view.source.normalizer.name]
            number.setVisible(used)
            self._form.labelForField(number).setVisible(used)
            if used and not number.dragged:
                number.setValue(getattr(view.source.normalizer, name))
        self._fill_transforms(view.transforms)
        self.transform.setCurrentIndex(self.transform.findData(view.transform_name))
        if self._controller.comparison.active:
            reasons = ["Each pane has its own run, attention and row: leave the comparison to choose others."]
        self.reasons.setText("\n".join(reasons))
        self.reasons.setVisible(bool(reasons))


def _say_all(field: QComboBox, tip: str, text: str) -> None:
    """What is chosen stands in the tooltip too: a narrow field cuts it."""
    field.setToolTip(f"{tip}.\n{text}")


def refill(box: QComboBox, items: list[tuple[str, object]], chosen: object) -> None:
    """New items, unless they are the old ones; `chosen` is selected."""
    if [(box.itemText(i), box.itemData(i)) for i in range(box.count())] != items:
        box.clear()
        for title, data in items:
            box.addItem(title, data)
    at = next((i for i, (_, data) in enumerate(items) if data == chosen), -1)
    box.setCurrentIndex(at)


def _kind(source: Source) -> str:
    if source.normalizer is not None:
        return source.normalizer.name
    return ANCHOR if source.branch == "anchor" else STORED


def _normalizer_titles(run: Run, offered: list[Source]) -> list[tuple[str, object]]:
    """One title a kind of source, with the normaliser that a stored map has."""
    titles: dict[str, str] = {}
    for source in offered:
        kind = _kind(source)
        own = run.anchor_normalizer if kind == ANCHOR else None
        titles[kind] = TITLES.get(kind) or f"{kind}: {run.map_words if own is None else own.label}"
    return [(title, kind) for kind, title in titles.items()]


def _slide_title(run: Run, slide: object) -> str:
    label, split = slide.label, slide.split  # type: ignore[attr-defined]
    known = [run.class_names[label] if label is not None and 0 <= label < len(run.class_names) else "", split]
    tail = ", ".join(word for word in known if word)
    return f"{slide.slide_id} ({tail})" if tail else slide.slide_id  # type: ignore[attr-defined]
