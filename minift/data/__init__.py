"""Data: from text files to batches of integers.

Everything here is NumPy and the standard library; no file knows about Tensors or models. In
reading order: `tables` (files to columns), `splits` (who is tested on what), `glosses` (the data
set that ships), `wordpiece` and `bpe` (text to integers), `datasets` and `loader` (integers to
batches), `masking` (batches to the masked-language-modelling task). Images: `digits`
(the data set that ships), `augmentation`.
"""

from minift.data.added_tokens import AddedToken
from minift.data.augmentation import Augmentation, augment
from minift.data.bpe import BPETokenizer
from minift.data.datasets import ArrayDataset, Dataset, TokenDataset
from minift.data.digits import Digits, load_digits
from minift.data.glosses import Glosses, draw_labelled, load_glosses
from minift.data.loader import BucketSampler, DataLoader, OverSampler
from minift.data.masking import MaskingCollator, mask_tokens
from minift.data.splits import k_folds, train_test_split
from minift.data.tables import Table, open_table, read_csv
from minift.data.wordpiece import WordPieceTokenizer

__all__ = [
    "AddedToken",
    "ArrayDataset",
    "Augmentation",
    "BPETokenizer",
    "BucketSampler",
    "DataLoader",
    "Dataset",
    "Digits",
    "Glosses",
    "MaskingCollator",
    "OverSampler",
    "Table",
    "TokenDataset",
    "WordPieceTokenizer",
    "augment",
    "draw_labelled",
    "k_folds",
    "load_digits",
    "load_glosses",
    "mask_tokens",
    "open_table",
    "read_csv",
    "train_test_split",
]
