"""The measured numbers as CSV files beside a report: one tidy table per analysis."""

from __future__ import annotations

import csv
import hashlib
import io
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

from wdyn.analyses._spec import TIDY_COLUMNS, tidy_rows
from wdyn.errors import OutputError
from wdyn.report.sections import Section
from wdyn.report.write import replacing

MANIFEST = ".written-by-wdyn"  # checksum and name of each table of the last report, so that it can be told from others
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def tables_folder(report: Path) -> Path:
    """Where the tables of a report stand: `<name of the report>-tables` beside it."""
    return report.with_name(f"{report.stem}-tables")


def write_tables(report: Path, sections: Sequence[Section], *, keep: Sequence[Path]) -> list[Path]:
    """Write `<analysis>.csv` for each analysis that has a result.

    What an earlier report wrote there and this one does not have is removed, unless somebody changed it since; no other
    file is touched.

    Args:
        report: path of the report they belong to.
        sections: its sections.
        keep: run files, which no table may replace.

    Returns:
        Paths of the files. Equal sections give equal bytes.

    Raises:
        OutputError: a file cannot be written, and was not left behind half; or an older one cannot be read or removed.
    """
    written = []
    for section in sections:
        if section.result is None:
            continue
        path = tables_folder(report) / f"{section.name}.csv"
        try:
            table = _table(section)
        except Exception as error:  # a plugin's result that breaks its promise costs its own table only
            warnings.warn(f"{section.title} gives no table: {error}", RuntimeWarning, stacklevel=3)
            continue
        with replacing(path, keep=keep) as write:
            write(table)
        written.append(path)
    try:
        _remove_older(tables_folder(report), written)
    except OSError as error:
        raise OutputError(
            f"{tables_folder(report)}: tables of an earlier report stand there that cannot be read or removed "
            f"({error.strerror or error}). Remove the folder, or choose another place with -o"
        ) from error
    _note(tables_folder(report) / MANIFEST, written, keep=keep)
    return written


def _remove_older(folder: Path, written: Sequence[Path]) -> None:
    for checksum, name in _noted(folder / MANIFEST):
        path = folder / name
        if path in written or path.parent != folder or not path.is_file():
            continue
        if _checksum(path) == checksum:
            path.unlink()
        else:
            warnings.warn(f"{path}: not of this report, but changed since it was written, so it stays", stacklevel=4)


def _noted(manifest: Path) -> list[tuple[str, str]]:
    """Checksums and names; none where there is no manifest."""
    lines = manifest.read_text("utf-8", "replace").splitlines() if manifest.is_file() else []
    return [(checksum, name) for checksum, space, name in (line.partition("  ") for line in lines) if name]


def _note(manifest: Path, written: Sequence[Path], *, keep: Sequence[Path]) -> None:
    if not written and not manifest.exists():
        return  # no folder for nothing
    with replacing(manifest, keep=keep) as write:
        write("".join(f"{_checksum(path)}  {path.name}\n" for path in written).encode())


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _table(section: Section) -> bytes:
    return csv_bytes([TIDY_COLUMNS, *tidy_rows(section.result)])


def csv_bytes(rows: Iterable[Iterable[object]]) -> bytes:
    """Rows as CSV in UTF-8; text that a spreadsheet would run as a formula gets an apostrophe, as on the page."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(_harmless, row) for row in rows)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _harmless(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
