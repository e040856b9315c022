"""Train: bags, recipe and device; or apply what was trained. One job, shown on top."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari.utils.notifications import show_error
from qtpy.QtWidgets import QLabel, QLineEdit, QPushButton

from napari_asmil.bags import read_cohort
from napari_asmil.errors import InputError
from napari_asmil.viewer.docks.base import Dock, PathField, add_row
from napari_asmil.viewer.docks.devices import DeviceBox
from napari_asmil.viewer.docks.progress import JobPanel
from napari_asmil.viewer.docks.recipe import RecipeForm
from napari_asmil.viewer.learning import Applying, Training, about_bags, bags_to_apply_to, prospect
from napari_asmil.viewer.status import allowed

TABLES = "Tables (*.csv *.tsv);;All files (*)"


class TrainDock(Dock):
    """Start a training or apply a trained run, and follow either."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self.panel = JobPanel(self.controller.job)
        self.features = PathField({"Folder of features": ""}, "folder of feature files")
        self.labels = PathField({"Label table": TABLES}, "csv of slide_id and label")
        self.column = QLineEdit("label")
        self.read_button = QPushButton("Use these bags")
        self.form = RecipeForm()
        self.device = DeviceBox()
        self.out = PathField({"Folder of the run": ">"}, "folder NAME.asmil")
        self.start_button = QPushButton("Start training")
        self.trained = PathField({"Trained run": ""}, "folder NAME.asmil")
        self.applied = PathField({"Folder of the new run": ">"}, "folder NAME.asmil")
        self.apply_button = QPushButton("Apply")
        self.cohort_words, self.out_words, self.apply_words = (QLabel() for _ in range(3))
        self._suggested: dict[PathField, str] = {}
        self._lay_out()
        self._connect()
        self._on_cohort()
        self._on_current()
        self._enable()

    def _lay_out(self) -> None:
        for label in (self.cohort_words, self.out_words, self.apply_words):
            label.setWordWrap(True)
        self.body.addWidget(self.panel)
        bags = self.add_group("Bags")
        bags.addRow(self.cohort_words)
        add_row(bags, "Features", self.features, "Folder with a feature file for each slide")
        add_row(bags, "Labels", self.labels, "Table with a row a slide; a column split says train, val or test")
        add_row(bags, "Column", self.column, "Column of the label table that holds the classes")
        self.read_button.setToolTip("Read and check folder and table; refused files are named")
        bags.addRow(self.read_button)
        self.body.addWidget(self.form)
        train = self.add_group("Train")
        add_row(
            train, "Device", self.device, "auto takes the first GPU there is; only devices of this machine are offered"
        )
        add_row(train, "Write to", self.out, "Folder of the run; one that was stopped goes on from its last epoch")
        train.addRow(self.out_words)
        self.start_button.setToolTip("Train; each epoch appears on the slide as soon as it is written")
        train.addRow(self.start_button)
        run = self.add_group("Or apply a trained run")
        add_row(run, "Run", self.trained, "A run that was trained here: its last epoch is applied")
        add_row(run, "Write to", self.applied, "Folder of the new run, of one epoch")
        run.addRow(self.apply_words)
        self.apply_button.setToolTip("Look at the open slide's bag (or at all bags) with the trained model")
        run.addRow(self.apply_button)

    def _connect(self) -> None:
        controller = self.controller
        controller.cohort_changed.connect(self._on_cohort)
        controller.slide_changed.connect(self._on_current)
        controller.current_changed.connect(self._on_current)
        controller.job.status.events.state.connect(self._enable)
        self.read_button.clicked.connect(self.read)
        self.start_button.clicked.connect(self.start)
        self.apply_button.clicked.connect(self.apply)
        self.form.changed.connect(self._on_recipe)
        self.out.changed.connect(self._on_out)
        self.trained.changed.connect(self._on_trained)

    @property
    def open_slide(self) -> str | None:
        """Id of the slide a person looks at."""
        return self.controller.slide_id

    # ---- what a person does -------------------------------------------------------------------

    def read(self) -> None:
        """Read the bags that are named."""
        try:
            if self.features.path is None:
                raise InputError("No folder of features is chosen.", remedy="Choose the folder and its label table.")
            column = self.column.text().strip() or "label"
            self.controller.set_cohort(read_cohort(self.features.path, self.labels.path, label=column))
        except InputError as error:
            self._refuse(error)

    def start(self) -> None:
        """Start the training that the fields describe, or go on with it."""
        try:
            training = self.training()
            self.controller.job.start(training.events, training.title)
        except InputError as error:
            self._refuse(error)

    def training(self) -> Training:
        """Build the training that the fields describe.

        Raises
        ------
        InputError
            When bags, recipe or folder cannot be trained with.
        """
        cohort, out = self.controller.cohort, self.out.path
        if cohort is None:
            raise InputError("There are no bags to train on.", remedy="Choose a folder of features and a label table.")
        cohort.check()
        if out is None:
            raise InputError("No folder for the run is chosen.", remedy="Choose where to write, usually NAME.asmil.")
        return Training(cohort, self.form.recipe(), out, self.device.device, self.open_slide)

    def apply(self) -> None:
        """Apply the trained run to the open slide's bag, or to all bags."""
        bags, trained, out = (
            bags_to_apply_to(self.controller.cohort, self.open_slide),
            self.trained.path,
            self.applied.path,
        )
        try:
            if not bags:
                raise InputError("There is no bag to apply a model to.", remedy="Open a feature file first.")
            if trained is None or out is None:
                raise InputError("No trained run or no folder is chosen.", remedy="Choose both.")
            applying = Applying(bags, trained, out, self.device.device)
            self.controller.job.start(applying.events, applying.title, "slides")
        except InputError as error:
            self._refuse(error)

    def _refuse(self, error: InputError) -> None:
        self.panel.refuse(str(error))
        show_error(str(error))

    # ---- what the fields say ------------------------------------------------------------------

    def _on_cohort(self) -> None:
        cohort = self.controller.cohort
        lines = ["No bags yet."] if cohort is None else cohort.describe()
        self.cohort_words.setText("\n".join(lines))
        self._on_current()

    def _on_recipe(self) -> None:
        folder = self._runs_folder()
        if folder is not None:
            name = f"{self.form.variant}-{self.form.preset.currentText()}-seed{self.form.seed.value()}"
            self._suggest(self.out, folder / f"{name}.asmil")
        self._on_out()

    def _runs_folder(self) -> Path | None:
        """Where a new run may go: into the folder of the bags, or beside the run that is shown."""
        cohort, current = self.controller.cohort, self.controller.current
        if cohort is not None and cohort.bags and cohort.bags[0].source is not None:
            return cohort.bags[0].source.parent / "runs"
        return None if current is None else current[0].path.parent

    def _on_out(self) -> None:
        words = "" if self.out.path is None else prospect(self.out.path, self.form.epochs.value())
        self.out_words.setText(words)
        self.out_words.setVisible(bool(words))

    def _on_current(self) -> None:
        if self.controller.current is not None:
            self._suggest(self.trained, self.controller.current[0].path)
        self._on_recipe()
        self._on_trained()

    def _on_trained(self) -> None:
        bags = bags_to_apply_to(self.controller.cohort, self.open_slide)
        self.apply_words.setText(about_bags(bags))
        if self.trained.path is not None and bags:
            which = bags[0].slide_id if len(bags) == 1 else f"{len(bags)}-bags"
            name = f"{self.trained.path.name.removesuffix('.asmil')}-on-{which}.asmil"
            self._suggest(self.applied, self.trained.path.parent / name)

    def _suggest(self, field: PathField, path: Path) -> None:
        """Fill a field that a person has not filled differently."""
        if field.line.text() in ("", self._suggested.get(field, "")):
            self._suggested[field] = str(path)
            field.set_path(path)

    def _enable(self) -> None:
        idle = "start" in allowed(self.controller.job.status.state)
        self.form.set_enabled(idle)
        for button in (self.start_button, self.apply_button, self.read_button):
            button.setEnabled(idle)
        if idle:
            self._on_out()
