"""Tables of text: CSV, TSV and JSON lines, to columns of strings.

    table = read_csv("reviews.csv")
    table["text"], table["label"]            # lists of str, one entry a row

What a quoted field may hold is decided by Python's csv module; here are the questions that it
leaves open: which sign separates the columns, which bytes are text, and whether every row fits the
header. Each of these has an answer or one sentence that names the line.

Not here: what the columns mean (`minift/jobs/`), any type but str. Read next: `splits.py`.
"""

import csv
import difflib
import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

DELIMITERS = (",", ";", "\t", "|")
LONGEST_FIELD = 2**24  # characters; a longer one is a quote that nobody closed
_SNIFFED_ROWS = 100
_BARE_RETURN = re.compile(r"(?<=\r)(?!\n|$)")  # old line ends, which Python's files would keep
_SURROGATE = re.compile("[\ud800-\udfff]")  # half a character, which JSON can spell
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Row:
    """One row: the number of the line on which it starts, and its fields."""

    line: int
    fields: list[str]


@dataclass(frozen=True)
class Table:
    """Columns by name. `lines[i]` is the line of the file on which row i starts."""

    source: str  # the file's name, for messages
    columns: dict[str, list[str]]
    lines: list[int]

    @property
    def names(self) -> list[str]:
        """The columns' names, in order."""
        return list(self.columns)

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, name: str) -> list[str]:
        """A column. Raises ValueError, with the name that may have been meant."""
        place_of(name, self.names, self.source)
        return self.columns[name]


def read_csv(source: str | Path) -> Table:
    """A whole file as a Table; "-" is standard input.

    The separator is found among , ; tab | from the header and the first rows; a file whose first
    character is { holds one JSON object a line. A byte order mark is skipped; columns without a
    name are left out. Raises OSError for a file that cannot be read, and ValueError, with the line,
    for one that is empty, is not UTF-8, names a column twice, or has a row that does not fit.
    """
    with open_table(source) as table:
        rows = list(table)
    columns = {name: [row.fields[i] for row in rows] for i, name in enumerate(table.names) if name}
    return Table(table.source, columns, [row.line for row in rows])


class open_table(AbstractContextManager["open_table"]):  # noqa: N801 - reads like open()
    """Row by row, so that a file may be larger than memory: `with open_table(path) as table`.

    `names` are the columns, "" for one without a name; iterating yields Rows with a field for each.
    Errors as in `read_csv`, those of a row when it is reached.
    """

    names: list[str]

    def __init__(self, source: str | Path):
        self.source = "standard input" if str(source) == "-" else str(source)
        self._path = Path(source)

    def __enter__(self) -> "open_table":
        self._open = nullcontext(sys.stdin.buffer) if str(self._path) == "-" else existing(self)
        try:
            lines = text_lines(self._open.__enter__(), self.source)
            self.names, self._rows = parse(lines, self.source)
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.__exit__(*error)

    def __iter__(self) -> Iterator[Row]:
        return self._rows

    def place_of(self, name: str) -> int:
        """Where a column stands in every row. Raises ValueError."""
        return place_of(name, self.names, self.source)


def existing(table: open_table) -> Any:
    """The file, opened. Raises FileNotFoundError or IsADirectoryError in a sentence."""
    path = table._path
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a CSV, TSV or JSON-lines file")
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        return path.open("rb")
    except OSError as error:
        raise OSError(f"{path} cannot be read: {error.strerror}") from None


def place_of(name: str, names: Sequence[str], source: str) -> int:
    """The index of a column's name. Raises ValueError, with the name that was meant."""
    if name in names and name:
        return list(names).index(name)
    known = [repr(other) for other in names if other]
    folded = {other.strip().casefold(): other for other in names if other}
    close = difflib.get_close_matches(name.strip().casefold(), folded, n=1)
    hint = f"did you mean {folded[close[0]]!r}?" if close else f"it has {', '.join(known)}"
    raise ValueError(f"{source} has no column {name!r}; {hint}")


# ------------------------------------------------------------------------------ bytes to lines


def text_lines(stream: BinaryIO, source: str) -> Iterator[str]:
    """Lines with their ends, of a stream of UTF-8. Raises ValueError that names line and byte."""
    for number, raw in enumerate(stream, start=1):
        if number == 1:
            raw = raw.removeprefix(_BYTE_ORDER_MARK)
            if raw.startswith(_UTF_16):
                raise ValueError(f"{source} is UTF-16, not UTF-8; save it again as UTF-8")
        if b"\0" in raw:
            raise ValueError(f"{source} is no text: line {number} holds a byte 0")
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{source}, line {number}: byte {error.start + 1} of the line "
                f"(0x{raw[error.start]:02X}) is not UTF-8; save the file again as UTF-8"
            ) from None
        yield from _BARE_RETURN.split(text) if "\r" in text else (text,)


# ------------------------------------------------------------------------------- lines to rows


def parse(lines: Iterator[str], source: str) -> tuple[list[str], Iterator[Row]]:
    """The columns' names and the rows, of JSON lines if the first character is a brace."""
    numbered = counted(lines)
    first = next((line for line in numbered if line.text.strip()), None)
    if first is None:
        raise ValueError(f"{source} is empty; its first line should name the columns")
    everything = chain([first], numbered)
    if first.text.lstrip().startswith("{"):
        return json_rows(everything, source)
    return csv_rows(everything, source)


@dataclass(frozen=True)
class Line:
    """A line and its number, from 1."""

    number: int
    text: str


def counted(lines: Iterator[str]) -> Iterator[Line]:
    """Lines with their numbers."""
    return (Line(number, text) for number, text in enumerate(lines, start=1))


def csv_rows(lines: Iterator[Line], source: str) -> tuple[list[str], Iterator[Row]]:
    """Header and rows; the separator is found in the first rows."""
    start = list(islice(lines, _SNIFFED_ROWS))
    delimiter = sniff([line.text for line in start])
    records = csv_records(chain(start, lines), delimiter, source)
    header = next(records)
    names = [name.strip() for name in header.fields]
    check_names(names, source)
    return names, fitting(records, names, delimiter, source)


def sniff(lines: Sequence[str]) -> str:
    """The separator by which most of the first rows are as wide as the header.

    Of those that do equally well, the one that makes most columns. A header that none of them cuts
    has one column.
    """

    def quality(delimiter: str) -> tuple[float, int]:
        try:
            widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        except csv.Error:
            return 0.0, 0
        return widths.count(widths[0]) / len(widths), widths[0]

    cutting = [delimiter for delimiter in DELIMITERS if quality(delimiter)[1] > 1]
    return max(cutting, key=quality) if cutting else ","


def csv_records(lines: Iterator[Line], delimiter: str, source: str) -> Iterator[Row]:
    """What the csv module makes of the lines. Raises ValueError where it gives up.

    `strict`: a quote that is never closed would otherwise swallow the rest of the file.
    """
    taken: list[int] = []  # numbers of the lines that make up the row

    def texts() -> Iterator[str]:
        for line in lines:
            taken.append(line.number)
            yield line.text

    csv.field_size_limit(LONGEST_FIELD)
    reader = csv.reader(texts(), delimiter=delimiter, strict=True)
    while True:
        taken.clear()
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise ValueError(f"{source}, line {taken[0]}: {csv_sentence(error)}") from None
        if fields is None:
            return
        yield Row(taken[0], fields)


def csv_sentence(error: csv.Error) -> str:
    """The csv module's reason, in the words of someone who has the file before him."""
    reason = str(error)
    if "unexpected end" in reason:
        return "a field that opens here with a double quote is never closed"
    if "field larger" in reason:
        return f"a field of more than {LONGEST_FIELD:,} characters; is a quote not closed?"
    if "expected after" in reason:
        return 'a field goes on after its closing double quote; within a field write "" for one'
    return reason


def fitting(
    records: Iterator[Row], names: Sequence[str], delimiter: str, source: str
) -> Iterator[Row]:
    """The rows. Raises ValueError for the first that is not as wide as the header.

    An empty line is no row, unless there is but one column: then it is an empty field.
    """
    sign = "tab" if delimiter == "\t" else f"{delimiter!r}"
    for row in records:
        fields = row.fields or ([""] if len(names) == 1 else [])
        if fields and len(fields) != len(names):
            mend = f"a field that holds a {sign} must stand between double quotes"
            if len(fields) < len(names):
                mend = "leave a field empty rather than out"
            raise ValueError(
                f"{source}, line {row.line}: {count(len(fields), 'field')}, but the header names "
                f"{count(len(names), 'column')}; {mend}"
            )
        if fields:
            yield Row(row.line, fields)


def check_names(names: Sequence[str], source: str) -> None:
    """Raises ValueError unless there are names and none stands twice."""
    if not any(names):
        raise ValueError(f"{source}: the first line names no column")
    twice = [name for name in names if name and names.count(name) > 1]
    if twice:
        raise ValueError(f"{source} names the column {twice[0]!r} twice; rename one of them")


def count(number: int, what: str) -> str:
    """1 row, 2 rows."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


# ---------------------------------------------------------------------------------- JSON lines


def json_rows(lines: Iterator[Line], source: str) -> tuple[list[str], Iterator[Row]]:
    """Rows of JSON lines. The first object names the columns; what a later one lacks is empty."""
    line = next(lines)
    first = json_object(line, source)
    if not first:
        raise ValueError(f"{source}: the first object names no column")
    names = list(first)
    objects = ((other.number, json_object(other, source)) for other in lines if other.text.strip())
    rows = (
        Row(number, [cell(found.get(name), name, number, source) for name in names])
        for number, found in chain([(line.number, first)], objects)
    )
    return names, rows


def json_object(line: Line, source: str) -> dict[str, Any]:
    """The object that stands on a line. Raises ValueError."""
    try:
        found = json.loads(line.text.rstrip())
    except json.JSONDecodeError as error:
        reason = f"{error.msg} at character {error.colno}"
        raise ValueError(f"{source}, line {line.number} is not JSON: {reason}") from None
    except (ValueError, RecursionError) as error:  # a number too long, brackets too deep
        raise ValueError(f"{source}, line {line.number} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{source}, line {line.number} is JSON, but not an object {{...}}")
    return found


def cell(value: Any, name: str, line: int, source: str) -> str:
    """A JSON value as the text of a field: null is empty, a list of words is joined by ;."""
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        value = ";".join(value)
    if isinstance(value, bool | int | float):
        value = json.dumps(value)
    if isinstance(value, str) and not _SURROGATE.search(value):
        return value
    raise ValueError(f"{source}, line {line}: {name!r} holds {json.dumps(value)}, not a text")
