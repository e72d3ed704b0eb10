"""Data: from text files to batches of integers.

Everything here is NumPy and the standard library; no file knows about Tensors or models. In
reading order: `tables` (files to columns), `splits` (who is tested on what), `glosses` (the
definitions that ship) and `moby_dick` (the prose that ships), `wordpiece` and `bpe` (text to
integers), `datasets` and `loader` (integers to batches), `masking` (batches to the
masked-language-modelling task), `packing` (documents to rows of one length), `corpus` (ids larger
than memory), `sentence_pairs` (the next-sentence task), `text_augmentation`. Images: `digits` (the
ones that ship), `augmentation`, `image_processor` (pixels as published models want them).
"""

from minift.data.added_tokens import AddedToken
from minift.data.augmentation import Augmentation, augment
from minift.data.bpe import BPETokenizer
from minift.data.corpus import Corpus, open_corpus
from minift.data.datasets import ArrayDataset, Dataset, TokenDataset
from minift.data.digits import Digits, load_digits
from minift.data.glosses import Glosses, draw_labelled, load_glosses
from minift.data.image_processor import ImageProcessor
from minift.data.loader import (
    BucketSampler,
    DataLoader,
    OverSampler,
    TokenWindowSampler,
    WindowSampler,
)
from minift.data.masking import MaskingCollator, mask_tokens
from minift.data.moby_dick import MobyDick, load_moby_dick
from minift.data.packing import Blocks, pack
from minift.data.sentence_pairs import PairingCollator, Segments
from minift.data.splits import k_folds, train_test_split
from minift.data.tables import Table, open_table, read_csv
from minift.data.text_augmentation import DroppingCollator, drop_tokens
from minift.data.wordpiece import WordPieceTokenizer

__all__ = [
    "AddedToken",
    "ArrayDataset",
    "Augmentation",
    "BPETokenizer",
    "Blocks",
    "BucketSampler",
    "Corpus",
    "DataLoader",
    "Dataset",
    "Digits",
    "DroppingCollator",
    "Glosses",
    "ImageProcessor",
    "MaskingCollator",
    "MobyDick",
    "OverSampler",
    "PairingCollator",
    "Segments",
    "Table",
    "TokenDataset",
    "TokenWindowSampler",
    "WindowSampler",
    "WordPieceTokenizer",
    "augment",
    "draw_labelled",
    "drop_tokens",
    "k_folds",
    "load_digits",
    "load_glosses",
    "load_moby_dick",
    "mask_tokens",
    "open_corpus",
    "open_table",
    "pack",
    "read_csv",
    "train_test_split",
]
