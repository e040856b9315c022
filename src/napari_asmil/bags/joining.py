"""Labels of patients as labels of slides: STAMP's clini table (PATIENT, classes) and slide table (PATIENT, FILENAME).

Read in KatherLab/STAMP (getting-started.md).
"""

from __future__ import annotations

from collections.abc import Mapping

from napari_asmil.bags.naming import PATIENT_COLUMNS, SLIDE_COLUMNS
from napari_asmil.bags.tables import Table
from napari_asmil.errors import InputError
from napari_asmil.words import counted, listed


def joined(patients: Table, slides: Table) -> Table:
    """A row a slide, with what the table of patients says of its patient.

    Parameters
    ----------
    patients : Table
        A row a patient.
    slides : Table
        A row a slide, with a column of patients; a slide whose patient has no row is left out.

    Raises
    ------
    InputError
        When a column is missing, a patient has two rows that differ, or no patient of one is in the other.
    """
    patient, whose = _column(patients, PATIENT_COLUMNS), _column(slides, PATIENT_COLUMNS)
    name = _column(slides, SLIDE_COLUMNS)
    of: dict[str, Mapping[str, str]] = {}
    for row in patients.rows:
        if of.setdefault(row[patient], row) != row:
            raise InputError(
                f"Patient {row[patient]} has two rows that differ.", remedy="Keep one.", path=patients.path
            )
    own = [column for column in patients.columns if column not in (patient, "slide_id", "patient")]
    rows = tuple(
        {"slide_id": row[name], "patient": row[whose], **{column: of[row[whose]][column] for column in own}}
        for row in slides.rows
        if row[whose] in of
    )
    if not rows:
        raise InputError(
            f"None of its patients ({listed(row[whose] for row in slides.rows)}) is in {patients.path.name}.",
            remedy="Both tables must name patients alike.",
            path=slides.path,
        )
    left = [row[name] for row in slides.rows if row[whose] not in of]
    note = f"{counted(len(left), 'slide')} without a row of the patient in {patients.path.name}: {listed(left)}"
    return Table(
        patients.path,
        ("slide_id", "patient", *own),
        rows,
        f"patients, joined with {slides.path.name}",
        (note,) if left else (),
        patients.named or patients.columns,
    )


def _column(table: Table, names: tuple[str, ...]) -> str:
    column = table.column(*names)
    if column is None:
        what = "patients" if names == PATIENT_COLUMNS else "slides"
        raise InputError(
            f"It has no column of {what} ({', '.join(names)}); its columns are {listed(table.columns, 12)}.",
            remedy="Name it so, in any case of letters.",
            path=table.path,
        )
    return column
