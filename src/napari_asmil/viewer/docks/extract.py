"""Make tiles and features from a slide, as a job."""

from __future__ import annotations

from collections.abc import Callable

from napari.utils.notifications import show_error
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
from napari_asmil.viewer import tissue
from napari_asmil.viewer.controller import Controller
from napari_asmil.viewer.docks.base import PathField, add_row
from napari_asmil.viewer.docks.encoder import EncoderChoice
from napari_asmil.viewer.layers import slide_name
from napari_asmil.viewer.opening import Extraction
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
        self._search: tissue.Search | None = None
        self.encoder = EncoderChoice()
        self.unit = QComboBox()
        self.tile, self.mpp, self.least = QSpinBox(), QDoubleSpinBox(), QSpinBox()
        self.cover = QCheckBox("Whole image, no tissue mask")
        self.within = PathField({"Contours around tissue": AREAS}, "found by itself")
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
            if slide is None or out is None:
                raise InputError("No slide or no feature file is chosen.", remedy="Choose the slide above.")
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
                cropped=self._cropped(),
            )
            self._controller.job.start(extraction.events, f"Making features of {slide.name}", "tiles")
        except InputError as error:
            show_error(str(error))

    def show_tissue(self) -> None:
        """Find and draw what tiles will be laid on."""
        slide = self._slide.path
        try:
            if slide is None:
                raise InputError("No slide is chosen.", remedy="Choose the slide above.")
            if self._controller.slide is None or self._controller.slide.path != slide:
                self._controller.open_slide(slide)
            self._search = tissue.Search(slide, self._slide_mpp(), self.within.path, self._cropped())
            self._controller.job.start(self._search.events, f"Finding tissue of {slide.name}", "slides")
        except InputError as error:
            show_error(str(error))

    def save_outlines(self) -> None:
        """Write the outlines that are drawn beside the slide, and lay tiles within them from now on."""
        if self._search is None or self._search.found is None:
            return
        path = self._search.slide.with_name(f"{slide_name(self._search.slide)}_tissue.geojson")
        try:
            if path.exists():
                raise InputError("There is one already; it is not overwritten.", remedy="Move it away.", path=path)
            write_geojson(path, self._search.found)
        except InputError as error:
            show_error(str(error))
            return
        self.within.set_path(path)
        self._say([f"Outlines written to {path}. Edited there, they are what tiles are laid in."])

    def _drawn(self) -> Contours | None:
        """The contours of the annotation that is chosen above, where they are drawn."""
        drawn = self._controller.contours
        return drawn if drawn is not None and drawn.path == self._annotation.path else None

    def _cropped(self) -> bool:
        """Whether annotation files of this slide count from its scanned area: as the one that is drawn does."""
        drawn = self._drawn()
        return drawn is not None and any(drawn.origin)

    def _slide_mpp(self) -> float | None:
        """What a person said of the pixel size of the slide that is shown."""
        shown = self._controller.slide
        given = shown is not None and shown.path == self._slide.path and shown.mpp_source == "the user"
        return shown.mpp if shown is not None and given else None

    def _suggest(self) -> None:
        slide = self._slide.path
        if slide is not None:
            self.out.set_path(slide.with_name(f"{slide_name(slide)}.h5"))

    def _on_event(self, event: Event) -> None:
        if not isinstance(event, Finished):
            return
        search = self._search
        if search is not None and search.found is not None and event.path == search.slide:
            drawn = tissue.show(self._controller.viewer, search.slide, search.found)
            self._say([f"TISSUE {search.slide.name}", event.message, *([] if drawn else ["Too many lines to draw."])])
            self._enable()
        elif event.path.suffix == ".h5":
            self._say([f"{event.path.name}: {event.why}", event.message])
            if event.why == "done":
                self._features.set_path(event.path)

    def _on_stage(self, kind: str) -> None:
        """Take outlines away that are of another slide than the one shown."""
        shown = self._controller.slide
        if kind == "slide" and self._search is not None and (shown is None or shown.path != self._search.slide):
            self._search = None
            tissue.hide(self._controller.viewer)
            self._enable()

    def _enable(self) -> None:
        can = "start" in allowed(self._controller.job.status.state)
        unit = self.unit.currentText()
        self.tile.setEnabled(unit != AS_ENCODER)
        self.mpp.setEnabled(unit == AT_MPP)
        for field in (self.least, self.within):
            field.setEnabled(not self.cover.isChecked())
        self.tissue_button.setEnabled(can and not self.cover.isChecked())
        self.save_button.setEnabled(self._search is not None and self._search.found is not None)
        self.start_button.setEnabled(can)
