"""``python -m napari_asmil.cli``."""

from napari_asmil.cli import main

main()
