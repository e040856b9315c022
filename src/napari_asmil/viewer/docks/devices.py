"""The devices of this machine; another process asks torch, which takes seconds and would hold the window up."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from qtpy.QtCore import QProcess
from qtpy.QtWidgets import QComboBox

logger = logging.getLogger(__name__)

KNOWN = {"auto": "auto", "cpu": "CPU"}
"""What every machine has."""
_ASK = "import json; from napari_asmil.training.device import available_devices; print(json.dumps(available_devices()))"


class DeviceBox(QComboBox):
    """A choice of device: auto and CPU at once, the others as soon as they are found."""

    def __init__(self) -> None:
        super().__init__()
        self.offer(KNOWN)
        if "torch" in sys.modules:
            from napari_asmil.training.device import available_devices

            self.offer(available_devices())
            return
        self._process = QProcess(self)
        self._process.finished.connect(self._on_answer)
        self.destroyed.connect(_end(self._process))
        self._process.start(sys.executable, ["-c", _ASK])

    @property
    def device(self) -> str:
        """Name of the chosen device, as torch knows it."""
        return str(self.currentData())

    def offer(self, devices: dict[str, str]) -> None:
        """Add devices, given as name and words."""
        for name, words in devices.items():
            if self.findData(name) < 0:
                self.addItem(words if name in KNOWN else f"{name} · {words}", name)

    def _on_answer(self) -> None:
        answer = bytes(self._process.readAllStandardOutput()).decode(errors="replace").strip()
        try:
            self.offer(json.loads(answer.splitlines()[-1]))
        except (ValueError, IndexError, AttributeError):
            trouble = bytes(self._process.readAllStandardError()).decode(errors="replace")
            logger.warning("The devices of this machine could not be found: %s", trouble)


def _end(process: Any) -> Any:
    """Make what ends the process before Qt takes it."""

    def end(*_: object) -> None:
        process.finished.disconnect()
        process.kill()
        process.waitForFinished()

    return end
