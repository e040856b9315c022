"""Tables as csv files: rows with a header, columns picked by name."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from napari_asmil.errors import InputError
from napari_asmil.words import listed

DELIMITERS = ",;\t"
MOST_BYTES = 32 * 2**20
MOST_CELLS = 2_000_000
"""A table of slides is smaller than this by far; what is larger is something else and is not read into memory."""


@dataclass(frozen=True)
class Table:
    """Rows of a file.

    Attributes
    ----------
    path : Path
        The file.
    columns : tuple of str
        Names of the columns as the file spells them; empty for one without a name.
    rows : tuple of mapping
        Column to value of each row, empty where the file has none.
    kind : str
        What it is, in words; empty for a plain table.
    notes : tuple of str
        What was left out and why.
    named : tuple of str
        Names of the columns in the file, where `columns` are others.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]
    kind: str = ""
    notes: tuple[str, ...] = ()
    named: tuple[str, ...] = ()

    def column(self, *names: str) -> str | None:
        """The first of these names that is a column, as the file spells it; upper and lower case are alike."""
        for name in names:
            if name in self.columns:
                return name
            alike = [column for column in self.columns if column.casefold() == name.casefold()]
            if len(alike) == 1:
                return alike[0]
        return None

    def values(self, column: str) -> list[str]:
        """The column's values, row by row."""
        return [row[column] for row in self.rows]

    def counts_rows(self, column: str) -> bool:
        """Whether the column only numbers the rows."""
        return self.values(column) in ([str(n) for n in range(first, first + len(self.rows))] for first in (0, 1))


def read_table(path: str | Path) -> Table:
    """Read a csv file with a header; the delimiter (comma, semicolon or tab) is found.

    Parameters
    ----------
    path : path-like
        UTF-8, with or without a byte order mark. Empty lines are skipped, short rows are filled up.

    Raises
    ------
    InputError
        When there is no such file, it is no such text, two columns have one name, a row is longer than the header
        or there is no row.
    """
    path = Path(path)
    text = read_text(path)
    lines = iter(_records(text, path))
    _, header = next(lines, (0, []))
    columns = _names(header, path)
    rows = []
    for number, cells in lines:
        if any(cells[len(columns) :]):
            raise InputError(
                f"Line {number} has {len(cells)} values, but the header names {len(columns)} columns.",
                remedy="Put values that hold a delimiter in quotes, or complete the header.",
                path=path,
            )
        cells += [""] * (len(columns) - len(cells))
        rows.append(dict(zip(columns, cells, strict=False)))
        if len(rows) * len(columns) > MOST_CELLS:
            raise _too_large(path)
    if not rows:
        raise InputError("The table has no rows.", remedy="Give a csv file with a header and a row a slide.", path=path)
    return Table(path, columns, tuple(rows))


def read_text(path: Path) -> str:
    """The text of a file of moderate size.

    Raises
    ------
    InputError
        When it is missing, too large for a table, or no UTF-8 text.
    """
    if not path.is_file():
        raise InputError("There is no such table.", remedy="Give a csv file.", path=path)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise _too_large(path)
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"The table cannot be read ({error.strerror or error}).", path=path) from error
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise InputError("This is a workbook, not a csv file.", remedy="Save the sheet as csv.", path=path)
    if b"\0" in content:
        raise InputError(
            "It holds bytes that are no text (NUL).",
            remedy="Save it as csv in UTF-8; it is another kind of file, or text in UTF-16.",
            path=path,
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"The table cannot be read: byte {error.start} is no UTF-8 text.",
            remedy="Save it as csv in UTF-8.",
            path=path,
        ) from None


def _too_large(path: Path) -> InputError:
    return InputError(
        "It is too large for a table of slides.",
        remedy="Give a csv file with one row a slide.",
        path=path,
    )


def _records(text: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and stripped values of every line that has some."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(DELIMITERS, key=lambda sign: len(next(csv.reader([first], delimiter=sign), [])))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise InputError(
            f"Line {reader.line_num} is no row of a csv file ({error}).",
            remedy="Check its quotes and delimiters.",
            path=path,
        ) from None


def _names(header: list[str], path: Path) -> tuple[str, ...]:
    """Names of the columns: the first may have none (a row number), others without one are numbered."""
    names = [name or ("" if index == 0 else f"(column {index + 1})") for index, name in enumerate(header)]
    while len(header) > 1 and not header[-1]:  # delimiters at the end of each line
        header, names = header[:-1], names[:-1]
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise InputError(f"More than one column is called {listed(twice)}.", remedy="Rename or remove one.", path=path)
    return tuple(names)


def looks_like(values: Iterable[str], words: Iterable[str]) -> bool:
    """Whether there are values and all are among the words, in whatever case."""
    given, known = [value.casefold() for value in values], set(words)
    return bool(given) and known.issuperset(given)
