"""The choice of an encoder: its name, the file or model it takes, its licence, and where it computes."""

from __future__ import annotations

from qtpy.QtWidgets import QComboBox, QFormLayout, QLabel

from napari_asmil.encoders import encoder_names, licence_notice
from napari_asmil.encoders.registry import FAMILIES
from napari_asmil.errors import InputError
from napari_asmil.viewer.docks.base import PathField, add_row
from napari_asmil.viewer.docks.devices import KNOWN

WEIGHTS = "Weights (*.pt *.pth *.safetensors *.pt2);;All files (*)"


class EncoderChoice:
    """Rows of a form; `spec` is what they name."""

    def __init__(self) -> None:
        self.name, self.device_box = QComboBox(), QComboBox()
        self.name.addItems(encoder_names())
        self.takes = PathField({"Weights or program": WEIGHTS}, "")
        self.licence = QLabel()
        self.licence.setWordWrap(True)
        for name, words in KNOWN.items():
            self.device_box.addItem(words, name)
        self.name.currentTextChanged.connect(self._on_change)
        self.takes.line.textChanged.connect(self._on_change)
        self._on_change()

    def add_to(self, form: QFormLayout) -> None:
        """Lay the rows out."""
        add_row(form, "Encoder", self.name, "What turns a tile into numbers")
        add_row(
            form, "Takes", self.takes, "File of weights, exported program, or name of a model, as the encoder needs"
        )
        add_row(form, "Licence", self.licence, "Of the encoder's weights; shown before anything is downloaded")
        add_row(form, "Device", self.device_box, "Where the encoder computes; auto takes a GPU where there is one")

    @property
    def spec(self) -> str:
        """Specification of the encoder, as `get_encoder` takes it."""
        text = self.takes.line.text().strip() if self.takes.isEnabled() else ""
        return f"{self.name.currentText()}:{text}" if text else str(self.name.currentText())

    @property
    def device(self) -> str:
        """Name of the device."""
        return str(self.device_box.currentData())

    def _on_change(self) -> None:
        family = FAMILIES.get(self.name.currentText())
        takes = "what it takes, if anything" if family is None else family.takes
        self.takes.setEnabled(bool(takes))
        self.takes.line.setPlaceholderText(takes or "nothing")
        self.device_box.setEnabled(bool(takes))
        try:
            self.licence.setText(licence_notice(self.spec))
        except InputError as error:
            self.licence.setText(str(error))
