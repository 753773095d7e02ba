"""Rows of people to call, out of JSON or a spreadsheet's CSV, one at a time.

Readers are generous about form and strict about content: they undo what spreadsheets do to numbers,
and say what is wrong with a file in words that help whoever sent it.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from accounts.errors import ApiError
from accounts.fields import is_too_large
from accounts.phone_numbers import undress

csv.field_size_limit(64 * 1024)  # an unclosed quote swallows no more than this
MOST_COLUMNS = 200
LONGEST_LINE = 4 * 1024 * 1024  # characters; a file without line ends is not read into memory whole
_PHONE = (
    "phone",
    "phone_number",
    "to_number",
    "to",
    "mobile",
    "mobile_number",
    "telephone",
    "tel",
    "number",
    "cell",
    "cell_phone",
    "phonenumber",
)
_NAME = ("name", "full_name", "customer_name", "contact_name", "contact")
_TIMEZONE = ("timezone", "time_zone", "tz")
_PROMPT = ("prompt_override", "prompt")
_NOT_TEXT = (
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "an Excel workbook or a zip archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"{\\rtf", "a rich text document"),
)
_DELIMITERS = ",;\t|"


@dataclass(slots=True)
class Row:
    """One person as they came in. ``problem`` says why the row cannot be used, else ""."""

    index: int
    phone: str
    name: str = ""
    timezone: str = ""
    prompt_override: str = ""
    variables: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    line: int | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Mapped:
    """Which column of a CSV means what. The others are variables, under the given names."""

    phone: int
    name: int | None
    timezone: int | None
    prompt_override: int | None
    variables: Mapping[int, str]
    has_header: bool = True


def rows_of_json(items: Sequence[Any]) -> Iterator[Row]:
    """Read ``recipients`` of a request, in the names of every generation of clients."""
    for index, item in enumerate(items):
        yield _row_of(index, item)


def _row_of(index: int, item: Any) -> Row:
    if isinstance(item, str):
        return Row(index, item)
    if not isinstance(item, dict):
        return Row(index, "", problem="must be an object with a phone.")
    phone = next((item[n] for n in ("phone", "phone_number", "to_number") if item.get(n)), "")
    row = Row(index, phone if isinstance(phone, str) else str(phone))
    if not isinstance(phone, str):
        row.problem = 'phone must be a string in E.164, as "+447446466847".'
    for name in ("dynamic_variables", "dynamic_vars", "variables"):
        given = item.get(name) or {}
        if not isinstance(given, dict) or any(isinstance(v, (dict, list)) for v in given.values()):
            row.problem = row.problem or f"{name} must be an object of names and plain values."
            continue
        row.variables |= given
    for name in ("name", "timezone", "prompt_override"):
        value = item.get(name) or ""
        if not isinstance(value, str):
            row.problem = row.problem or f"{name} must be a string."
            continue
        setattr(row, name, value.strip())
    metadata = item.get("metadata") or {}
    if isinstance(metadata, dict):
        row.metadata = metadata
    else:
        row.problem = row.problem or "metadata must be an object."
    if is_too_large([row.variables, row.metadata]):
        row.problem, row.variables, row.metadata = "variables and metadata are too large.", {}, {}
    return row


class CsvFile:
    """A CSV of people to call, from a seekable binary file; read row by row, as often as wanted.

    Opening it finds encoding, delimiter and columns. ApiError ``invalid_csv`` says what a file is
    that is none. ``region`` (``GB``) is the country of numbers in national form, None: take none.
    """

    def __init__(self, file: BinaryIO, region: str | None = None) -> None:
        self._file = file
        self._region = region
        self.encoding = _encoding_of(file)
        self._skip, self.delimiter, first = self._look_at_start()
        self.header = [cell.strip() for cell in first]
        self.columns = _map_columns(self.header)

    def remap(self, **columns: int | None) -> None:
        """Let the sender say which column (from 0) is ``phone``, ``name``, ``timezone`` or
        ``prompt_override``; every other one is a variable."""
        taken = {index for index in columns.values() if index is not None}
        self.columns = Mapped(
            phone=columns["phone"] or 0,
            name=columns.get("name"),
            timezone=columns.get("timezone"),
            prompt_override=columns.get("prompt_override"),
            variables=_variables(self.header, taken - {columns.get("name")}),
            has_header=self.columns.has_header,
        )

    def __iter__(self) -> Iterator[Row]:
        filled = (one for one in self._records() if any(cell.strip() for cell in one[1]))
        if self.columns.has_header:
            next(filled, None)
        index = -1
        for index, (line, record) in enumerate(filled):
            yield self._row(index, line, record)
        if index < 0:
            raise _refused("The file has a header, but no rows below it.")

    def _row(self, index: int, line: int, record: Sequence[str]) -> Row:
        columns = self.columns

        def cell(at: int | None) -> str:
            return record[at].strip() if at is not None and at < len(record) else ""

        row = Row(
            index,
            cell(columns.phone),
            name=cell(columns.name)[:120],
            timezone=cell(columns.timezone),
            prompt_override=cell(columns.prompt_override),
            line=line,
        )
        row.variables = {
            name: value for at, name in columns.variables.items() if (value := cell(at))
        }
        if len(record) > len(self.header) and any(c.strip() for c in record[len(self.header) :]):
            row.problem = f"has {len(record)} cells, but the header has {len(self.header)}."
            return row
        if any("\0" in cell for cell in record):
            return Row(index, "", line=line, problem="holds a NUL character.")
        row.phone, row.problem = undress(row.phone, self._region)
        return row

    def _look_at_start(self) -> tuple[int, str, list[str]]:
        text = self._text()
        line = text.readline(LONGEST_LINE)
        skip = 0
        if match := re.fullmatch(r"sep=([^\"\r\n])\r?\n?", line):  # Excel's own hint
            skip, delimiter, line = 1, match[1], text.readline(LONGEST_LINE)
        else:
            while line and not line.strip():
                line = text.readline(LONGEST_LINE)
            delimiter = max(_DELIMITERS, key=_outside_quotes(line).count)
        text.detach()
        self._skip, self.delimiter = skip, delimiter
        for _, record in self._records():
            if any(cell.strip() for cell in record):
                if len(record) > MOST_COLUMNS:
                    raise _refused(f"The header has {len(record)} columns.")
                return skip, delimiter, record
        raise _refused("The file is empty.")

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        text = self._text()
        for _ in range(self._skip):
            text.readline(LONGEST_LINE)
        reader = csv.reader(_lines(text), delimiter=self.delimiter, strict=True)
        line = 1
        try:
            for record in reader:
                yield line + self._skip, record
                line = reader.line_num + 1
        except csv.Error as error:
            raise _refused(
                f"The table breaks off in the row that begins at line {line + self._skip}: "
                f"{error}. Look for a quotation mark that is not closed."
            ) from error
        finally:
            text.detach()

    def _text(self) -> io.TextIOWrapper:
        self._file.seek(0)
        return io.TextIOWrapper(self._file, self.encoding, newline="")


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    while line := text.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise _refused(f"A line is longer than {LONGEST_LINE} characters.")
        yield line


def _refused(why: str) -> ApiError:
    return ApiError("invalid_csv", why)


def _encoding_of(file: BinaryIO) -> str:
    file.seek(0)
    head = file.read(4096)
    if not head.strip():
        raise _refused("The file is empty.")
    for magic, what in _NOT_TEXT:
        if head.startswith(magic):
            raise _refused(f"This is {what}, whatever its name says. Export the table as CSV.")
    if head.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
        raise _refused("This is a web page, whatever its name says. Export the table as CSV.")
    likely = ["utf-8-sig", "cp1252"]
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        likely = ["utf-16"]
    elif b"\0" in head:
        likely = []
    for encoding in likely:
        if _is(file, encoding):
            return encoding
    raise _refused("This file is not text. Export the table as CSV in UTF-8.")


def _is(file: BinaryIO, encoding: str) -> bool:
    file.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while chunk := file.read(1 << 20):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _outside_quotes(line: str) -> str:
    return re.sub(r'"[^"]*"', "", line)


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _map_columns(header: Sequence[str]) -> Mapped:
    keys = [_key(name) for name in header]

    def find(known: Iterable[str]) -> int | None:
        return next((keys.index(name) for name in known if name in keys), None)

    phone = find(_PHONE)
    if phone is None:
        if len(header) == 1 and re.match(r"[+'=0-9]", header[0]):
            return Mapped(0, None, None, None, {}, has_header=False)
        shown = ", ".join(name or "(no name)" for name in header[:20])
        raise _refused(f"No column is named phone. The first row has: {shown}.")
    name, timezone, prompt = find(_NAME), find(_TIMEZONE), find(_PROMPT)
    # A name is a variable too: prompts say {name}.
    taken = {index for index in (phone, timezone, prompt) if index is not None}
    return Mapped(phone, name, timezone, prompt, _variables(header, taken))


def _variables(header: Sequence[str], taken: Iterable[int | None]) -> dict[int, str]:
    taken = set(taken)
    names: dict[int, str] = {}
    for index, name in enumerate(header):
        if index in taken or not name:
            continue
        plain = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_") or f"column_{index + 1}"
        if plain in names.values():
            raise _refused(f"Two columns are named {name}.")
        names[index] = plain
    return names
