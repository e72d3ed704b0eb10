"""From archives' members to files that the commands read."""

import csv
import io
import json
import tarfile

import numpy as np
import pytest

from minift.fetch import prepare


def rows_of(content):
    return list(csv.reader(io.StringIO(content.decode("utf-8"), newline="")))


def arrays_of(content):
    with np.load(io.BytesIO(content)) as arrays:
        return arrays["images"], arrays["labels"]


def test_the_sign_of_the_mean_rating_is_the_label_and_zero_is_left_out():
    lines = (
        "1\t2.5\tA fine film, really.\r\n2\t-0.05\tIt said \"no\".\r\n3\t0.0\tA film.\r\n"
        "4\t0.1\tNaïve — but good\r\n"
    )  # fmt: skip
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        member = tarfile.TarInfo("set/movies.txt")
        member.size = len(lines.encode())
        archive.addfile(member, io.BytesIO(lines.encode()))
    ready = prepare.rated_sentences("set/movies.txt", "reviews.csv")
    files = ready({"somewhere/set.tar.gz": stream.getvalue()})
    assert list(files) == ["reviews.csv"]
    assert rows_of(files["reviews.csv"]) == [
        ["text", "label", "rating"],
        ["A fine film, really.", "positive", "2.5"],
        ['It said "no".', "negative", "-0.05"],
        ["Naïve — but good", "positive", "0.1"],
    ]


PLAIN = b"From: a@b.c\nSubject: [list] hi\nContent-Type: text/plain\n\nBuy, now.\nOr not.\n"
ALTERNATIVES = b"""Subject: both
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="=="

--==
Content-Type: text/html

<b>bold</b>
--==
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: base64

Z3LDvMOfZQ==
--==--
"""
UNKNOWN = b"Content-Type: text/plain; charset=no-such-set\n\ncaf\xe9\x00\n"
PICTURE = b"Content-Type: image/png\n\nxyz\n"


@pytest.mark.parametrize(
    ("mail", "text"),
    [(PLAIN, "Buy, now.\nOr not."), (ALTERNATIVES, "grüße"), (UNKNOWN, "café"), (PICTURE, "")],
)
def test_a_mail_is_its_plain_text_without_headers(mail, text):
    assert prepare.body(mail) == text


def test_the_folder_of_a_mail_is_its_label():
    mails = {"package/data/spam-2/1.txt": PLAIN, "package/data/hard-ham-1/2.txt": UNKNOWN}
    assert rows_of(prepare.mails(mails)["mails.csv"]) == [
        ["text", "label"], ["café", "ham"], ["Buy, now.\nOr not.", "spam"],
    ]  # fmt: skip


DICTIONARY = b"""
00-database-info
   A preface of 1913.

0 \\0\\ adj.
   1. indicating the absence of
      any unit. See {Zero}.
      [1913 Webster]

   Syn: zero
        [WordNet 1.5 +PJC]

Co*ag"u*late \\Co*ag"u*late\\, v. i. [L. coagulare]
   The market\x92s drop.

"""


def test_the_dictionary_is_one_paragraph_a_line_without_sources_and_pronunciations():
    text = prepare.dictionary({"gcide.dict.dz": DICTIONARY})["gcide.txt"].decode("utf-8")
    assert text.splitlines() == [
        "0 adj. 1. indicating the absence of any unit. See Zero.",
        "Syn: zero",
        'Co*ag"u*late v. i. [L. coagulare] The market�s drop.',
    ]


def test_a_line_of_the_bilingual_dictionary_holds_pairs_in_one_order():
    lines = "# Version\nAal {m} | Ich gehe. | Geh! :: eel | I go. | Go\nkein Eintrag\n"
    files = prepare.translations({"de-en": lines.encode()})
    assert rows_of(files["pairs.csv"])[1:] == [["Aal {m}", "eel"], ["Ich gehe.", "I go."],
                                               ["Geh!", "Go"]]  # fmt: skip
    assert rows_of(files["sentences.csv"]) == [["german", "english"], ["Ich gehe.", "I go."]]


def idx_file(array):
    """LeCun's format, written by hand."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def test_idx_files_become_images_and_labels():
    rng = np.random.default_rng(0)
    images = {"train": rng.integers(0, 256, (5, 4, 3), np.uint8),
              "t10k": rng.integers(0, 256, (300, 4, 3), np.uint8)}  # fmt: skip
    labels = {split: rng.integers(0, 10, len(array), np.uint8) for split, array in images.items()}
    members = {f"d/{split}-images-idx3-ubyte.gz": idx_file(a) for split, a in images.items()}
    members |= {f"d/{split}-labels-idx1-ubyte.gz": idx_file(a) for split, a in labels.items()}
    files = prepare.idx_images(members)
    for name, split in (("train.npz", "train"), ("test.npz", "t10k")):
        got, got_labels = arrays_of(files[name])
        np.testing.assert_array_equal(got, images[split])
        np.testing.assert_array_equal(got_labels, labels[split])
        assert (got.dtype, got_labels.dtype) == (np.uint8, np.int64)


def test_digits_become_bytes_again_labelled_by_their_file():
    rng = np.random.default_rng(0)
    pixels = {digit: rng.integers(0, 256, (2 + digit, 28, 28)) for digit in (0, 7)}
    members = {
        f"package/src/digits/{digit}.json": json.dumps(
            {"data": [round(v, 3) for v in (array / 255).ravel().tolist()]}
        ).encode()
        for digit, array in pixels.items()
    }
    images, labels = arrays_of(prepare.digits(members)["digits.npz"])
    np.testing.assert_array_equal(images, np.concatenate([pixels[0], pixels[7]]))
    np.testing.assert_array_equal(labels, [0] * 2 + [7] * 9)
