"""Make tiles and features from a slide, as a job."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from napari.utils.notifications import show_error
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QFormLayout, QGroupBox, QPushButton, QSpinBox

from napari_asmil.encoders import ENCODERS
from napari_asmil.errors import InputError
from napari_asmil.events import Event, Finished
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.docks.base import PathField, add_row
from napari_asmil.viewer.layers import slide_name
from napari_asmil.viewer.opening import Extraction
from napari_asmil.viewer.status import allowed

LEVEL0, AT_MPP = "level-0 px", "px at a scale"


class ExtractGroup(QGroupBox):
    """The form of an extraction; it works on the slide and annotation chosen above it."""

    def __init__(
        self,
        controller: Controller,
        slide: PathField,
        annotation: PathField,
        features: PathField,
        say: Callable[[list[str]], None],
    ) -> None:
        super().__init__("Make tiles and features from the slide")
        self._controller, self._slide, self._annotation, self._features = controller, slide, annotation, features
        self._say = say
        self.encoder, self.unit = QComboBox(), QComboBox()
        self.tile, self.mpp = QSpinBox(), QDoubleSpinBox()
        self.cover = QCheckBox("Whole image, no tissue mask")
        self.out = PathField({"Feature file to write": ">"}, "feature file to write (.h5)")
        self.start_button = QPushButton("Make features")
        self._lay_out()
        self.unit.currentTextChanged.connect(self._enable)
        self.start_button.clicked.connect(self.start)
        slide.changed.connect(self._suggest)
        controller.job.status.events.state.connect(self._enable)
        controller.job.event.connect(self._on_event)
        self._enable()

    def _lay_out(self) -> None:
        form = QFormLayout(self)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.encoder.addItems(sorted(ENCODERS))
        self.unit.addItems([LEVEL0, AT_MPP])
        self.tile.setRange(8, 8192)
        self.tile.setValue(256)
        self.mpp.setRange(0.05, 20.0)
        self.mpp.setValue(0.5)
        self.mpp.setSuffix(" µm/px")
        add_row(form, "Encoder", self.encoder, "What turns a tile into numbers")
        add_row(form, "Tile edge", self.tile, "Edge of a square tile")
        add_row(form, "Unit", self.unit, "Pixels of the slide itself, or pixels at a given scale")
        add_row(form, "Scale", self.mpp, "Micrometres per px of the tiles; needs a slide that knows its own")
        self.cover.setToolTip("Lay tiles over everything instead of over tissue alone")
        form.addRow("", self.cover)
        add_row(form, "Write to", self.out, "The feature file; it appears there complete or not at all")
        self.start_button.setToolTip("Cut tiles and encode them; stopped, it writes nothing")
        form.addRow(self.start_button)

    def start(self) -> None:
        """Start the job the fields name."""
        slide, out = self._slide.path, self.out.path
        try:
            if slide is None or out is None:
                raise InputError("No slide or no feature file is chosen.", remedy="Choose the slide above.")
            at_scale = self.unit.currentText() == AT_MPP
            extraction = Extraction(
                slide,
                out,
                encoder=self.encoder.currentText(),
                tile_px=self.tile.value() if at_scale else None,
                mpp=self.mpp.value() if at_scale else None,
                size=None if at_scale else self.tile.value(),
                cover=self.cover.isChecked(),
                contours=self._annotation.path,
            )
            self._controller.job.start(extraction.events, f"Making features of {slide.name}", "tiles")
        except InputError as error:
            show_error(str(error))

    def _suggest(self) -> None:
        slide = self._slide.path
        if slide is not None:
            self.out.set_path(slide.with_name(f"{slide_name(slide)}.h5"))

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Finished) and event.path.suffix == ".h5":
            self._say([f"{Path(event.path).name}: {event.why}", event.message])
            if event.why == "done":
                self._features.set_path(event.path)

    def _enable(self) -> None:
        self.mpp.setEnabled(self.unit.currentText() == AT_MPP)
        self.start_button.setEnabled("start" in allowed(self._controller.job.status.state))
