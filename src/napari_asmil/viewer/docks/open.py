"""Open slide and bags: a slide, its features, annotation and labels; runs; features made from a slide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPlainTextEdit,
    QPushButton,
)

from napari_asmil.errors import InputError
from napari_asmil.maps import MEANINGS
from napari_asmil.viewer import footprint
from napari_asmil.viewer.docks.base import Dock, PathField, add_row
from napari_asmil.viewer.docks.extract import ExtractGroup
from napari_asmil.viewer.docks.progress import JobPanel
from napari_asmil.viewer.docks.roles import RolesGroup
from napari_asmil.viewer.opening import LABEL, Request, open_request
from napari_asmil.viewer.taking import file_of, take_run

SLIDES = "Slides (*.svs *.ndpi *.tif *.tiff *.mrxs *.scn *.bif *.vsi *.dcm *.png *.jpg *.webp);;All files (*)"
FEATURES = "Features (*.h5 *.hdf5 *.pt *.npz *.csv);;All files (*)"
ANNOTATIONS = "Annotations (*.geojson *.json *.xml *.annotations *.ndpa *.png *.bmp *.tif *.tiff);;All files (*)"
SCORES = "Attention scores (*.h5 *.hdf5 *.npz *.npy *.csv);;All files (*)"
TABLES = "Tables (*.csv *.tsv *.json);;All files (*)"


class OpenDock(Dock):
    """Pick files; see what each is and what was derived from it."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self.slide = PathField({"Slide": SLIDES, "Folder of an OME-Zarr slide": ""}, "whole-slide image")
        self.layer_button = QPushButton("Take the selected layer")
        self.dask = QCheckBox("Display through dask")
        self.features = PathField({"Feature file": FEATURES, "Folder of features": ""}, "feature file or folder")
        self.annotation = PathField({"Annotation": ANNOTATIONS}, "tumour contours")
        self.scores, self.values = PathField({"Attention": SCORES}, "scores of your own model"), QComboBox()
        self.tile_size, self.mpp = _known(" level-0 px", 0), _known(" µm", 4)
        self.labels = PathField({"Label table": TABLES}, "csv of slide_id and label")
        self.column = QLineEdit(LABEL)
        self.open_button = QPushButton("Open")
        self.tiles = QCheckBox("Show where the tiles lie")
        self.run = PathField({"Run": ""}, "folder NAME.asmil")
        self.run_button = QPushButton("Open run")
        self.runs = QListWidget()
        self.close_button = QPushButton("Close run")
        self.report = QPlainTextEdit()
        self._told = Request(), Request()
        self._lay_out()
        self.open_button.clicked.connect(self.open)
        self.layer_button.clicked.connect(self.take_layer)
        self.tiles.clicked.connect(self._show_tiles)
        self.run_button.clicked.connect(self.open_run)
        self.close_button.clicked.connect(self._close_run)
        self.runs.itemSelectionChanged.connect(self._enable)
        self.controller.runs_changed.connect(self._list_runs)
        self.controller.told.connect(self._on_told)
        self.controller.viewer.layers.events.inserted.connect(self._on_layers)
        self.controller.viewer.layers.events.removed.connect(self._on_layers)
        self._list_runs()
        self._on_told()

    def _lay_out(self) -> None:
        form = self.add_group("Slide, features, annotation, labels")
        add_row(form, "Slide", self.slide, "SVS, NDPI, pyramidal TIFF, OME-TIFF, OME-Zarr, or a picture")
        self.layer_button.setToolTip("Take the file of the layer selected in the list as the slide, whoever opened it")
        form.addRow("", self.layer_button)
        self.dask.setToolTip("Show the slide through dask arrays instead of the bounded tile cache; slower to pan")
        form.addRow("", self.dask)
        add_row(form, "Features", self.features, "Features of one slide, or a folder of many")
        add_row(form, "Tile edge", self.tile_size, "For features that do not say how large their tiles are")
        add_row(form, "Pixel size", self.mpp, "Micrometres per level-0 px, where the slide does not say or errs")
        add_row(form, "Annotation", self.annotation, "Tumour contours: QuPath, ASAP, ImageScope, NDP.view, or a mask")
        add_row(form, "Labels", self.labels, "Table with a row a slide; columns are picked by name")
        add_row(
            form, "Column", self.column, "Column of the classes in the table, or of the scores in a table of scores"
        )
        add_row(form, "Attention", self.scores, "Attention scores of your own model: opened as a run of one epoch")
        add_row(form, "Scores are", self.values, "What the attention scores are, where their numbers do not tell")
        self.values.addItem("as their numbers tell", None)
        for name, words in MEANINGS.items():
            self.values.addItem(name, name)
            self.values.setItemData(self.values.count() - 1, words, Qt.ItemDataRole.ToolTipRole)
        self.open_button.setToolTip("Read and check these files, then show them; nothing is shown if one is refused")
        form.addRow(self.open_button)
        self.tiles.setToolTip("Draw the edges of the tiles of the open features on the slide, to judge by eye")
        form.addRow(self.tiles)
        derived = self.add_group("What was found and derived")
        self.report.setReadOnly(True)
        self.report.setPlaceholderText("Sizes, scales and places appear here, and where each is from.")
        self.report.setToolTip("What each file is, and how its geometry was derived")
        self.report.setFixedHeight(12 * self.fontMetrics().lineSpacing())
        derived.addRow(self.report)
        self.roles = RolesGroup(self.controller)
        self.body.addWidget(self.roles)
        runs = self.add_group("Runs")
        add_row(runs, "Run", self.run, "A recorded training, finished or still being written")
        self.run_button.setToolTip("Open this run and show its first slide")
        runs.addRow(self.run_button)
        self.runs.setToolTip("Open runs; those being written are followed")
        self.runs.setFixedHeight(4 * self.fontMetrics().height() + 8)
        runs.addRow(self.runs)
        self.close_button.setToolTip("Close the selected run; its folder stays as it is")
        runs.addRow(self.close_button)
        self.extract = ExtractGroup(self.controller, self.slide, self.annotation, self.features, self.controller.tell)
        self.body.addWidget(self.extract)
        self.body.addWidget(JobPanel(self.controller.job))

    def open(self) -> None:
        """Open what the fields name."""
        request = Request(
            slide=self.slide.path,
            features=self.features.path,
            annotation=self.annotation.path,
            labels=self.labels.path,
            label_column=self.column.text().strip() or LABEL,
            tile_size=self.tile_size.value() or None,
            mpp=self.mpp.value() or None,
            dask=self.dask.isChecked(),
            scores=self.scores.path,
            values=self.values.currentData(),
        )
        try:
            open_request(self.controller, request)
        except InputError as error:
            self.controller.refuse(error, request)

    def take_layer(self) -> None:
        """Show the slide whose file the selected layer is of; that layer is hidden."""
        layer = self.controller.viewer.layers.selection.active
        try:
            open_request(self.controller, Request(slide=file_of(layer), mpp=self.mpp.value() or None))
            layer.visible = False
        except InputError as error:
            self.controller.refuse(error)

    def open_run(self) -> None:
        """Open the run that is named, and show it."""
        path = self.run.path
        try:
            if path is None:
                raise InputError("No run is chosen.", remedy="Choose the folder of a run, usually named *.asmil.")
            take_run(self.controller, path)
        except InputError as error:
            self.controller.refuse(error)

    def _on_told(self) -> None:
        self.report.setPlainText("\n".join(self.controller.report))
        opened, asked = self.controller.opened, self.controller.asked
        if (opened, asked) != self._told:
            self._told = opened, asked
            for name in ("slide", "features", "annotation", "labels"):
                getattr(self, name).set_path(getattr(asked, name) or getattr(opened, name))
            self.scores.set_path(asked.scores)
            self.tile_size.setValue(asked.tile_size or opened.tile_size or 0)
            self.mpp.setValue(asked.mpp or opened.mpp or 0)
        self._on_layers()

    def _on_layers(self) -> None:
        self.tiles.setEnabled(footprint.bag_of(self.controller) is not None)
        self.tiles.setChecked(footprint.layer_of(self.controller.viewer) is not None)

    def _show_tiles(self, shown: bool) -> None:
        (footprint.show if shown else footprint.hide)(self.controller)

    def _list_runs(self) -> None:
        self.runs.clear()
        for run in self.controller.runs:
            item = QListWidgetItem(f"{run.name} · {run.label}")
            item.setData(Qt.ItemDataRole.UserRole, run)
            item.setToolTip(str(Path(run.path)))
            self.runs.addItem(item)
        self._enable()

    def _close_run(self) -> None:
        self.controller.remove_run(self.runs.currentItem().data(Qt.ItemDataRole.UserRole))

    def _enable(self) -> None:
        self.close_button.setEnabled(self.runs.currentItem() is not None)


def _known(unit: str, decimals: int) -> QDoubleSpinBox:
    """A number that a person may know; 0 leaves it to the files."""
    box = QDoubleSpinBox()
    box.setDecimals(decimals)
    box.setRange(0, 100_000)
    box.setSuffix(unit)
    box.setSpecialValueText("as the files say")
    return box
