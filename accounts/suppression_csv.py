"""The do-not-contact list as a spreadsheet writes it, and for one to read."""

import codecs
import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from accounts.errors import ApiError
from accounts.models import Suppression
from accounts.phone_numbers import parse_e164, undress
from accounts.spreadsheets import harmless

_NUMBER_COLUMNS = ("phone_number", "phone", "number", "telephone", "mobile", "to_number", "e164")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# So many lines that cannot be read are told; the rest is counted.
INVALID_SHOWN = 10_000


@dataclass(slots=True)
class Rows:
    """``valid`` are ``(number in E.164, scope, reason)``; ``invalid`` say which line and why, of
    the first ``INVALID_SHOWN``.
    """

    valid: list[tuple[str, str, str]] = field(default_factory=list)
    invalid: list[dict[str, str | int]] = field(default_factory=list)
    invalid_count: int = 0


def read(raw: bytes) -> Rows:
    """Read a file with a number column, and optionally ``scope`` and ``reason``.

    Without a header the first column holds the numbers. Commas, semicolons and tabs separate;
    digits may be grouped. Raises ApiError ``invalid_csv`` where there is no list in it.
    """
    text = _decoded(raw)
    first = text.split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    rows = Rows()
    columns: dict[str, int] | None = None
    try:
        for line in lines:
            cells = [cell.strip() for cell in line]
            if not any(cells):
                continue
            if columns is None:
                columns, is_header = _columns(cells)
                if is_header:
                    continue
            _read_line(rows, lines.line_num, cells, columns)
    except csv.Error as error:
        raise _no_list(f"line {lines.line_num} cannot be read: {error}.") from error
    if columns is None:
        raise _no_list("it is empty.")
    return rows


def write(entries: Iterable[Suppression]) -> str:
    """Return a file that ``read`` takes back. Entries whose person was erased have no number."""
    out = io.StringIO(newline="")
    lines = csv.writer(out)
    lines.writerow(["phone_number", "scope", "reason", "source", "created_at", "entered_by"])
    for entry in entries:
        lines.writerow(
            [
                entry.phone_number,
                entry.scope,
                harmless(entry.reason),
                entry.source,
                entry.created_at.isoformat(),
                harmless(entry.entered_by),
            ]
        )
    return out.getvalue()


def _decoded(raw: bytes) -> str:
    for bom, encoding in _BOMS:
        if raw.startswith(bom):
            text = raw.decode(encoding, "replace")
            break
    else:
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            text = raw.decode("cp1252", "replace")
    if "\0" in text or text.startswith(("%PDF", "PK\x03\x04")):
        raise _no_list("it is no text. Save the sheet as CSV.")
    return text


def _columns(cells: list[str]) -> tuple[dict[str, int], bool]:
    """Return where number, scope and reason are, and whether ``cells`` is the header."""
    names = [re.sub(r"[\s-]+", "_", cell.lower()) for cell in cells]
    for name in _NUMBER_COLUMNS:
        if name in names:
            found = {"phone_number": names.index(name)}
            return found | {n: names.index(n) for n in ("scope", "reason") if n in names}, True
    if any(character.isdigit() for character in cells[0]):
        return {"phone_number": 0}, False
    raise _no_list('it has no column called "phone_number".')


def _read_line(rows: Rows, line: int, cells: list[str], columns: dict[str, int]) -> None:
    def cell(name: str) -> str:
        at = columns.get(name, len(cells))
        return cells[at] if at < len(cells) else ""

    scope = cell("scope").lower() or Suppression.Scope.ALL
    try:
        if scope not in Suppression.Scope.values:
            raise ApiError("invalid_request", "scope must be one of: voice, text, all.")
        number, problem = undress(cell("phone_number"))
        if problem:
            raise ApiError("invalid_phone_format", problem)
        number = parse_e164(number)
    except ApiError as error:
        rows.invalid_count += 1
        if len(rows.invalid) < INVALID_SHOWN:
            rows.invalid.append({"line": line, "reason": error.message})
    else:
        rows.valid.append((number, scope, cell("reason")))


def _no_list(why: str) -> ApiError:
    return ApiError("invalid_csv", f"The file holds no list of numbers: {why}")
