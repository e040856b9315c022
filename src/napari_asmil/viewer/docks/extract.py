"""Make tiles and features from a slide, as a job."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QPushButton,
    QSpinBox,
)

from napari_asmil.annotations import Contours, write_geojson
from napari_asmil.errors import InputError
from napari_asmil.events import Event, Finished
from napari_asmil.slides.slide import USER
from napari_asmil.viewer import tissue
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.docks.base import PathField, add_row
from napari_asmil.viewer.docks.encoder import EncoderChoice
from napari_asmil.viewer.layers import slide_name
from napari_asmil.viewer.opening import Extraction, Request, open_request
from napari_asmil.viewer.status import allowed

LEVEL0, AT_MPP, AS_ENCODER = "level-0 px", "px at a scale", "as the encoder wants"
AREAS = "Contours (*.geojson *.json *.xml *.ndpa *.png *.tif *.tiff);;All files (*)"


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
        self._outlines = tissue.outlines_of(controller)
        self.encoder = EncoderChoice()
        self.unit = QComboBox()
        self.tile, self.mpp, self.least = QSpinBox(), QDoubleSpinBox(), QSpinBox()
        self.cover = QCheckBox("Whole image, no tissue mask")
        self.within = PathField({"Contours around tissue": AREAS}, "found by itself")
        self.within_cropped = QCheckBox("From the scanned area")
        self.tissue_button, self.save_button = QPushButton("Show tissue"), QPushButton("Save outlines")
        self.out = PathField({"Feature file to write": ">"}, "feature file to write (.h5)")
        self.start_button = QPushButton("Make features")
        self._lay_out()
        self.unit.currentTextChanged.connect(self._enable)
        self.cover.toggled.connect(self._enable)
        self.start_button.clicked.connect(self.start)
        self.tissue_button.clicked.connect(self.show_tissue)
        self.save_button.clicked.connect(self.save_outlines)
        slide.changed.connect(self._suggest)
        controller.job.status.events.state.connect(self._enable)
        controller.job.event.connect(self._on_event)
        controller.stage.changed.connect(self._on_stage)
        self._enable()

    def _lay_out(self) -> None:
        form = QFormLayout(self)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.encoder.add_to(form)
        self.unit.addItems([LEVEL0, AT_MPP, AS_ENCODER])
        self.tile.setRange(8, 8192)
        self.tile.setValue(256)
        self.mpp.setRange(0.05, 20.0)
        self.mpp.setValue(0.5)
        self.mpp.setSuffix(" µm/px")
        self.least.setRange(0, 100)
        self.least.setValue(50)
        self.least.setSuffix(" %")
        add_row(form, "Tile edge", self.tile, "Edge of a square tile")
        add_row(
            form, "Unit", self.unit, "Pixels of the slide itself, pixels at a given scale, or what the encoder wants"
        )
        add_row(form, "Scale", self.mpp, "Micrometres per px of the tiles; needs a slide that knows its own")
        self.cover.setToolTip("Lay tiles over everything instead of over tissue alone")
        form.addRow("", self.cover)
        add_row(form, "Least tissue", self.least, "Share of a tile that must be tissue; at 0 any will do")
        add_row(form, "Within", self.within, "Contours to lay tiles in, instead of tissue that is found by colour")
        self.within_cropped.setToolTip(
            "Contours to lay tiles in, and outlines that are saved, count from there: as QuPath does without --no-crop"
        )
        form.addRow("", self.within_cropped)
        self.tissue_button.setToolTip("Draw the outline of what tiles will be laid on: tissue, or the contours above")
        self.save_button.setToolTip("Write the outlines beside the slide, to edit them in QuPath, and lay tiles within")
        buttons = QHBoxLayout()
        buttons.addWidget(self.tissue_button)
        buttons.addWidget(self.save_button)
        form.addRow(buttons)
        add_row(form, "Write to", self.out, "The feature file; it appears there complete or not at all")
        self.start_button.setToolTip("Cut tiles and encode them; stopped, it writes nothing")
        form.addRow(self.start_button)

    def start(self) -> None:
        """Start the job the fields name."""
        slide, out, unit = self._slide.path, self.out.path, self.unit.currentText()
        try:
            if slide is None:
                raise InputError("No slide is chosen.", remedy="Choose the slide above.")
            if out is None:
                raise InputError("It is not said where the features go.", remedy="Fill in 'Write to'.")
            drawn, cover = self._drawn(), self.cover.isChecked()
            extraction = Extraction(
                slide,
                out,
                encoder=self.encoder.spec,
                device=self.encoder.device,
                tile_px=self.tile.value() if unit == AT_MPP else None,
                mpp=self.mpp.value() if unit == AT_MPP else None,
                size=self.tile.value() if unit == LEVEL0 else None,
                slide_mpp=self._slide_mpp(),
                cover=cover,
                within=None if cover else self.within.path,
                min_tissue=self.least.value() / 100,
                contours=self._annotation.path,
                roles={} if drawn is None else drawn.chosen,
                cropped=drawn is not None and any(drawn.origin),
                within_cropped=not cover and self.within.path is not None and self.within_cropped.isChecked(),
            )
            self._controller.job.start(extraction.events, f"Making features of {slide.name}", "tiles")
        except InputError as error:
            self._controller.refuse(error)

    def show_tissue(self) -> None:
        """Find and draw what tiles will be laid on."""
        slide = self._slide.path
        try:
            if slide is None:
                raise InputError("No slide is chosen.", remedy="Choose the slide above.")
            if self._controller.slide is None or self._controller.slide.path != slide:
                open_request(self._controller, Request(slide=slide))
            search = tissue.Search(slide, self._slide_mpp(), self.within.path, self.within_cropped.isChecked())
            self._controller.job.start(search.events, f"Finding tissue of {slide.name}", "slides")
            self._outlines.search = search
        except InputError as error:
            self._controller.refuse(error)

    def save_outlines(self) -> None:
        """Write the outlines that are drawn beside the slide, and lay tiles within them from now on."""
        search = self._outlines.search
        if search is None or search.found is None:
            return
        path = search.slide.with_name(f"{slide_name(search.slide)}_tissue.geojson")
        try:
            if path.exists():
                raise InputError("There is one already; it is not overwritten.", remedy="Move it away.", path=path)
            write_geojson(path, search.found)
        except InputError as error:
            self._controller.refuse(error)
            return
        self.within.set_path(path)
        self.within_cropped.setChecked(any(search.found.origin))
        shown = self._controller.slide
        qupath = (
            "They count from the slide's corner: open the slide in QuPath with --no-crop, or find and save them again"
            " with 'From the scanned area'."
        )
        whole = shown is not None and any(shown.bounds) and not any(search.found.origin)
        said = f"Outlines written to {path}. Edited there, they are what tiles are laid in."
        self._say([said, *([qupath] if whole else [])])

    def _drawn(self) -> Contours | None:
        """The contours of the annotation that is chosen above, where they are drawn."""
        drawn = self._controller.contours
        return drawn if drawn is not None and drawn.path == self._annotation.path else None

    def _slide_mpp(self) -> float | None:
        """What a person said of the pixel size of the slide that is shown."""
        shown = self._controller.slide
        given = shown is not None and shown.path == self._slide.path and shown.mpp_source == USER
        return shown.mpp if shown is not None and given else None

    def _suggest(self) -> None:
        slide = self._slide.path
        if slide is not None:
            self.out.set_path(slide.with_name(f"{slide_name(slide)}.h5"))

    def _on_event(self, event: Event) -> None:
        if not isinstance(event, Finished):
            return
        self._enable()
        if event.path.suffix.lower() in (".h5", ".hdf5"):
            self._say([f"{event.path.name}: {event.why}", event.message])
            if event.why == "done":
                self._features.set_path(event.path)

    def _on_stage(self, kind: str) -> None:
        if kind == "slide":
            self._enable()

    def _enable(self) -> None:
        can = "start" in allowed(self._controller.job.status.state)
        unit = self.unit.currentText()
        self.tile.setEnabled(unit != AS_ENCODER)
        self.mpp.setEnabled(unit == AT_MPP)
        for field in (self.least, self.within, self.within_cropped):
            field.setEnabled(not self.cover.isChecked())
        self.tissue_button.setEnabled(can and not self.cover.isChecked())
        search = self._outlines.search
        self.save_button.setEnabled(search is not None and search.found is not None)
        self.start_button.setEnabled(can)
