"""Open slide and bags: a slide, its features, annotation and labels; runs; features made from a slide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari.utils.notifications import show_error
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QLineEdit, QListWidget, QListWidgetItem, QPlainTextEdit, QPushButton

from napari_asmil.errors import InputError
from napari_asmil.viewer.docks.base import Dock, PathField, add_row
from napari_asmil.viewer.docks.extract import ExtractGroup
from napari_asmil.viewer.docks.progress import JobPanel
from napari_asmil.viewer.opening import Request, open_request
from napari_asmil.viewer.window import open_runs

SLIDES = "Slides and images (*.svs *.ndpi *.tif *.tiff *.mrxs *.scn *.bif *.png *.jpg *.jpeg *.webp);;All files (*)"
FEATURES = "Features (*.h5 *.hdf5);;All files (*)"
ANNOTATIONS = "Annotations (*.geojson *.json *.xml);;All files (*)"
TABLES = "Tables (*.csv *.tsv);;All files (*)"


class OpenDock(Dock):
    """Pick files; see what each is and what was derived from it."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self.slide = PathField({"Slide": SLIDES}, "whole-slide image")
        self.dask = QCheckBox("Display through dask")
        self.features = PathField({"Feature file": FEATURES, "Folder of features": ""}, "feature file or folder")
        self.annotation = PathField({"Annotation": ANNOTATIONS}, "tumour contours")
        self.labels = PathField({"Label table": TABLES}, "csv of slide_id and label")
        self.column = QLineEdit("label")
        self.open_button = QPushButton("Open")
        self.run = PathField({"Run": ""}, "folder NAME.asmil")
        self.run_button = QPushButton("Open run")
        self.runs = QListWidget()
        self.close_button = QPushButton("Close run")
        self.report = QPlainTextEdit()
        self._lay_out()
        self.open_button.clicked.connect(self.open)
        self.run_button.clicked.connect(self.open_run)
        self.close_button.clicked.connect(self._close_run)
        self.runs.itemSelectionChanged.connect(self._enable)
        self.controller.runs_changed.connect(self._list_runs)
        self._list_runs()

    def _lay_out(self) -> None:
        form = self.add_group("Slide, features, annotation, labels")
        add_row(form, "Slide", self.slide, "SVS, NDPI, pyramidal TIFF, OME-TIFF, or a picture")
        self.dask.setToolTip("Show the slide through dask arrays instead of the bounded tile cache; slower to pan")
        form.addRow("", self.dask)
        add_row(form, "Features", self.features, "HDF5 of one slide, or a folder of them")
        add_row(form, "Annotation", self.annotation, "Tumour contours: QuPath GeoJSON or ASAP XML, level-0 px")
        add_row(form, "Labels", self.labels, "Table with a row a slide; columns are picked by name")
        add_row(form, "Column", self.column, "Column of the label table that holds the classes")
        self.open_button.setToolTip("Read and check these files, then show them; nothing is shown if one is refused")
        form.addRow(self.open_button)
        derived = self.add_group("What was found and derived")
        self.report.setReadOnly(True)
        self.report.setPlaceholderText("Sizes, scales and places appear here, and where each is from.")
        self.report.setToolTip("What each file is, and how its geometry was derived")
        self.report.setFixedHeight(8 * self.fontMetrics().lineSpacing())
        derived.addRow(self.report)
        runs = self.add_group("Runs")
        add_row(runs, "Run", self.run, "A recorded training, finished or still being written")
        self.run_button.setToolTip("Open this run and show its first slide")
        runs.addRow(self.run_button)
        self.runs.setToolTip("Open runs; those being written are followed")
        self.runs.setFixedHeight(4 * self.fontMetrics().height() + 8)
        runs.addRow(self.runs)
        self.close_button.setToolTip("Close the selected run; its folder stays as it is")
        runs.addRow(self.close_button)
        self.extract = ExtractGroup(self.controller, self.slide, self.annotation, self.features, self._say)
        self.body.addWidget(self.extract)
        self.body.addWidget(JobPanel(self.controller.job))

    def open(self) -> None:
        """Open what the fields name."""
        request = Request(
            slide=self.slide.path,
            features=self.features.path,
            annotation=self.annotation.path,
            labels=self.labels.path,
            label_column=self.column.text().strip() or "label",
            dask=self.dask.isChecked(),
        )
        try:
            self._say(open_request(self.controller, request))
        except InputError as error:
            self._refuse(error)

    def open_run(self) -> None:
        """Open the run that is named, and show it."""
        path = self.run.path
        try:
            if path is None:
                raise InputError("No run is chosen.", remedy="Choose the folder of a run, usually named *.asmil.")
            for run in open_runs(self.controller, [path]):
                self._say([f"RUN {run.name}", *run.describe()])
        except InputError as error:
            self._refuse(error)

    def _refuse(self, error: InputError) -> None:
        self._say(["REFUSED", str(error)])
        show_error(str(error))

    def _say(self, lines: list[str]) -> None:
        self.report.setPlainText("\n".join(lines))

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
