"""The tables of the CAMELYON challenges, as tables with a row a slide.

CAMELYON17's ``stage_labels.csv`` has the columns ``patient, stage``: ``patient_000.zip, pN0`` is a patient, and
``patient_000_node_0.tif, negative`` one of its slides. CAMELYON16's ``reference.csv`` has no header and a line a
slide of the test set: ``test_001,Tumor,IDC,Macro``.
"""

from __future__ import annotations

from dataclasses import replace

from napari_asmil.bags.naming import SLIDE_COLUMNS, stem
from napari_asmil.bags.tables import Table, looks_like
from napari_asmil.words import counted, listed


def recognised(table: Table) -> Table:
    """The table with the columns slide_id, label and patient where it is one of them, else the table itself."""
    patient, stage = table.column("patient"), table.column("stage")
    if patient and stage and any(name.endswith(".zip") for name in table.values(patient)):
        return _camelyon17(table, patient, stage)
    if table.column(*SLIDE_COLUMNS) is None and len(table.columns) > 1:
        second = table.columns[1]
        if looks_like([second, *table.values(second)], ("tumor", "normal")):
            return _camelyon16(table)
    return table


def _camelyon17(table: Table, patient: str, stage: str) -> Table:
    whose = [stem(name) for name in table.values(patient) if name.endswith(".zip")]
    left = [row for row in table.rows if not row[patient].endswith(".zip")]
    rows = []
    for row in left:
        slide = stem(row[patient])
        owner = max((name for name in whose if slide.startswith(f"{name}_")), key=len, default="")
        others = {column: value for column, value in row.items() if column != patient}
        rows.append({"slide_id": slide, "label": row[stage], "patient": owner, **others})
    if not rows:
        return table
    return replace(
        table,
        named=table.columns,
        columns=tuple(rows[0]),
        rows=tuple(rows),
        kind="stages of CAMELYON17",
        notes=(
            f"{counted(len(whose), 'row')} of patients left out ({listed(f'{name}.zip' for name in whose[:1])} ...):"
            " a patient's stage is no slide's label",
        ),
    )


def _camelyon16(table: Table) -> Table:
    columns = ("slide_id", "label", *(f"(column {n})" for n in range(3, len(table.columns) + 1)))
    lines = [table.columns, *(tuple(row[column] for column in table.columns) for row in table.rows)]
    rows = tuple(dict(zip(columns, line, strict=True)) for line in lines)
    return replace(table, columns=columns, rows=rows, kind="reference of CAMELYON16's test set (no header)")
