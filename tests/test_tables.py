"""Tables: what a CSV, TSV or JSON-lines file holds, and which line to blame where it does not."""

import csv
import io
import sys
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minift.data import open_table, read_csv


def written(tmp_path, content, name="reviews.csv"):
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return file


def columns(tmp_path, content, name="reviews.csv"):
    return read_csv(written(tmp_path, content, name)).columns


# --------------------------------------------------------------------------------- what it holds


def test_a_quoted_field_may_hold_commas_line_ends_and_quotes(tmp_path):
    table = read_csv(written(tmp_path, 'text,label\n"one,\ntwo ""three""",a\nfour,b\n'))
    assert table.columns == {"text": ['one,\ntwo "three"', "four"], "label": ["a", "b"]}
    assert table.lines == [2, 4]  # where each row starts
    assert (len(table), table.names) == (2, ["text", "label"])


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_the_separator_is_found(tmp_path, sign):
    text = f"text{sign}label\n" + "".join(f'"a{sign} b, c; d",{i}\n'.replace('",', f'"{sign}')
                                          for i in range(5))  # fmt: skip
    found = columns(tmp_path, text)
    assert found == {"text": [f"a{sign} b, c; d"] * 5, "label": list("01234")}


def test_commas_in_the_texts_do_not_outvote_the_separator_of_the_header(tmp_path):
    assert columns(tmp_path, "text;label\nwell, yes, no;1\nah, so;0\n")["label"] == ["1", "0"]


def test_a_file_of_one_column_needs_no_separator_and_an_empty_line_is_an_empty_row(tmp_path):
    assert columns(tmp_path, "text\nfoo\n\nbar\n") == {"text": ["foo", "", "bar"]}
    assert columns(tmp_path, "text,label\nfoo,1\n\nbar,2\n")["text"] == ["foo", "bar"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_byte_order_mark_and_line_ends_leave_no_trace(tmp_path, end):
    content = b"\xef\xbb\xbf" + end.join(["text,label", "grün,a", "blau,b", ""]).encode()
    assert columns(tmp_path, content) == {"text": ["grün", "blau"], "label": ["a", "b"]}


def test_a_line_separator_of_unicode_is_part_of_the_text(tmp_path):
    assert columns(tmp_path, "text,label\na\u2028b\x0bc\x85d,1\n")["text"] == ["a\u2028b\x0bc\x85d"]


def test_a_column_without_a_name_is_left_out(tmp_path):
    assert columns(tmp_path, ",text\n0,foo\n1,bar\n") == {"text": ["foo", "bar"]}


def test_json_lines_are_told_by_their_brace(tmp_path):
    lines = '{"text": "a", "n": 1}\n\n{"n": null, "text": ["x", "y"], "z": 0}\n{"n": true}\n'
    table = read_csv(written(tmp_path, lines))
    assert table.columns == {"text": ["a", "x;y", ""], "n": ["1", "", "true"]}
    assert table.lines == [1, 3, 4]


def test_a_header_alone_is_a_table_without_rows(tmp_path):
    table = read_csv(written(tmp_path, "text,label\n"))
    assert (len(table), table["text"]) == (0, [])


def test_a_dash_is_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"text\nfoo\n")))
    assert read_csv("-")["text"] == ["foo"]
    assert not sys.stdin.buffer.closed


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.tuples(*[st.text(st.characters(codec="utf-8", exclude_characters="\0"))] * 2),
        min_size=1, max_size=8,
    ),
    st.sampled_from([",", ";", "\t", "|"]),
)  # fmt: skip
def test_what_the_csv_module_wrote_is_read_back(tmp_path_factory, rows, sign):
    file = tmp_path_factory.getbasetemp() / "drawn.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        quoting = csv.QUOTE_ALL  # else a lone separator may be told from the header alone
        csv.writer(stream, delimiter=sign, quoting=quoting).writerows([("text", "label"), *rows])
    table = read_csv(file)
    assert list(zip(table["text"], table["label"])) == rows


def test_a_big_file_is_not_held_in_memory(tmp_path):
    file = written(tmp_path, "text,label\n" + ("x" * 200 + ",1\n") * 50_000)  # 10 MB
    tracemalloc.start()
    with open_table(file) as table:
        place = table.place_of("text")
        assert sum(len(row.fields[place]) for row in table) == 10_000_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_text_may_be_as_long_as_a_book(tmp_path):
    long = "one line of many\n" * 100_000
    assert read_csv(written(tmp_path, f'text,label\n"{long}",1\n'))["text"] == [long]


# ------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", " is empty; its first line should name the columns"),
        ("\n \n", " is empty; its first line should name the columns"),
        (",,\n1,2,3\n", ": the first line names no column"),
        ("{}\n", ": the first object names no column"),
        ("a,b,a\n1,2,3\n", " names the column 'a' twice; rename one of them"),
        ("a,b\n1,2\n1,2,3\n", ", line 3: 3 fields, but the header names 2 columns; a field that "
         "holds a ',' must stand between double quotes"),
        ("a\tb\n1\t2\t3\n", ", line 2: 3 fields, but the header names 2 columns; a field that "
         "holds a tab must stand between double quotes"),
        ("text\nwell, yes\n", ", line 2: 2 fields, but the header names 1 column; a field that "
         "holds a ',' must stand between double quotes"),
        ('a,b\n"1\n2",3\n4\n', ", line 4: 1 field, but the header names 2 columns; leave a field "
         "empty rather than out"),
        ('a,b\n1,2\n"3,4\n5,6\n', ", line 3: a field that opens here with a double quote is never "
         "closed"),
        ('a,b\n"1"x,2\n', ", line 2: a field goes on after its closing double quote; within a "
         'field write "" for one'),
        ('a,b\n"' + "x" * 2**24 + 'x",2\n', ", line 2: a field of more than 16,777,216 characters; "
         "is a quote not closed?"),
        ("a,b\nx,1\ncafé,2\n".encode("latin-1"), ", line 3: byte 4 of the line (0xE9) is not "
         "UTF-8; save the file again as UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), " is UTF-16, not UTF-8; save it again as UTF-8"),
        (b"PK\x03\x04\0\0", " is no text: line 1 holds a byte 0"),
        ('{"a": 1}\n[1]\n', ", line 2 is JSON, but not an object {...}"),
        ('{"a": 1}\n{"a": \n', ", line 2 is not JSON: Expecting value at character 6"),
        ('{"a": {"b": 1}}\n', ", line 1: 'a' holds {\"b\": 1}, not a text"),
        ('{"a": "\\ud83d"}\n', ", line 1: 'a' holds \"\\ud83d\", not a text"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_table_is_told_in_one_sentence(tmp_path, content, sentence):
    file = written(tmp_path, content)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        read_csv(file)
    assert str(caught.value) == f"{file}{sentence}"


def test_a_file_that_is_not_there_or_is_a_folder_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*nowhere\.csv"):
        read_csv(tmp_path / "nowhere.csv")
    with pytest.raises(IsADirectoryError, match="is a folder; name a CSV, TSV or JSON-lines file"):
        read_csv(tmp_path)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("txt", "did you mean 'text'?"),
        ("Label", "did you mean 'label'?"),
        ("sentiment", "it has 'text', 'label'"),
        ("", "it has 'text', 'label'"),
    ],
)
def test_a_misspelt_column_is_named_with_the_one_that_was_meant(tmp_path, name, hint):
    file = written(tmp_path, "text,label,\nfoo,a,\n")
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        read_csv(file)[name]
    assert str(caught.value) == f"{file} has no column {name!r}; {hint}"
