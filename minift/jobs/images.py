"""Images to learn from: the shipped digits, a fetched name, an .npz, a folder of PNGs.

Whatever they come from, they are float32 (n, c, H, W) in [0, 1], all of one square size; labels
stand beside them if there are any. Not here: what is learnt from them.
"""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minift.data import load_digits
from minift.fetch import data_file

FASHION = (
    "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"
)  # fmt: skip
NAMES = ("digits", "fashion-mnist", "mnist")
HELD_OUT = 0.1  # of images that come in one piece
MOST_HELD_OUT = 2000


@dataclass(frozen=True)
class Images:
    """Images and their labels, numbers into `classes`; without labels both are None.

    `files` are their names in a folder, None for images that come in one piece.
    """

    source: str
    images: np.ndarray
    labels: np.ndarray | None = None
    classes: list[str] | None = None
    files: list[str] | None = None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def groups(self) -> np.ndarray:
        """(n,) integers, equal for images that are the same pixel by pixel."""
        number: dict[bytes, int] = {}
        return np.array([number.setdefault(x.tobytes(), len(number)) for x in self.images], int)

    def digest(self) -> str:
        """The SHA-256 of images and labels."""
        found = hashlib.sha256(self.images)
        found.update(b"" if self.labels is None else self.labels)
        return found.hexdigest()

    def take(self, rows: np.ndarray) -> Images:
        """Those rows."""
        labels = None if self.labels is None else self.labels[rows]
        files = None if self.files is None else [self.files[i] for i in rows]
        return Images(self.source, self.images[rows], labels, self.classes, files)

    def name(self, row: int) -> str | int:
        """By what a reader finds an image: the name of its file, or its number, from 0."""
        return row if self.files is None else self.files[row]


def is_images(word: str | Path) -> bool:
    """Whether a word of --data means images."""
    path = Path(word)
    return str(word) in NAMES or path.suffix == ".npz" or path.is_dir()


def read_images(word: str | Path) -> Images:
    """All images of a name, an .npz or a folder, those that are meant for tests last.

    Raises FileNotFoundError, and ValueError for what holds no images, or images of several sizes.
    """
    path = Path(word)
    if path.is_dir():
        return from_folder(path)
    if str(word) == "digits" and not path.exists():
        digits = load_digits()
        images, labels = (np.concatenate(parts) for parts in zip(digits.train, digits.test))
        return Images("digits", images, labels, [str(i) for i in range(10)])
    file = data_file(word)
    if file.suffix != ".npz":
        raise ValueError(
            f"{word} holds no images; give an .npz (images, labels), a folder of PNGs, or one of "
            f"{', '.join(NAMES)}"
        )
    found = from_npz(file)
    if str(word) != "fashion-mnist":
        return found
    test = from_npz(file.with_name("test.npz"))
    assert found.labels is not None
    assert test.labels is not None
    both = np.concatenate([found.images, test.images])
    return Images(str(file), both, np.concatenate([found.labels, test.labels]), list(FASHION))


def split(images: Images, word: str | Path, seed: int) -> tuple[Images, Images]:
    """Images to learn from and held-out ones: the data set's own test part, or a tenth at random.

    Raises ValueError for fewer than two images.
    """
    n = len(images)
    if n < 2:
        raise ValueError(f"{images.source} holds {n} image; pre-training needs two or more")
    own = own_test_part(word)
    if own:
        return images.take(np.arange(n - own)), images.take(np.arange(n - own, n))
    order = np.random.default_rng(seed).permutation(n)
    held = min(max(1, round(HELD_OUT * n)), MOST_HELD_OUT)
    return images.take(np.sort(order[held:])), images.take(np.sort(order[:held]))


def check_labelled(images: Images, what_for: str) -> None:
    """Raise ValueError for images without labels."""
    if images.labels is None:
        raise ValueError(
            f"{images.source} has no labels {what_for}; put images into one sub-folder a class, or "
            f"labels beside images in the .npz"
        )


def own_test_part(word: str | Path) -> int:
    """How many images at the end are the data set's own test part; 0: it has none."""
    named = not Path(word).exists()
    return {"digits": 500, "fashion-mnist": 10_000}.get(str(word), 0) if named else 0


# ----------------------------------------------------------------------------------- the files


def from_npz(file: Path) -> Images:
    """An .npz with `images` and perhaps `labels`. Raises ValueError for any other."""
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            if "images" not in arrays:
                listed = ", ".join(arrays) or "nothing"
                raise ValueError(f"{file} must hold an array called images, got {listed}")
            images = arrays["images"]
            labels = arrays.get("labels")
    except (OSError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{file} is not a whole .npz: {error}") from None
    except ValueError as error:
        hint = "an array of objects, as images of mixed sizes are; crop or scale them to one size"
        raise ValueError(f"{file}: {hint}" if "pickle" in str(error) else str(error)) from None
    if labels is None:
        return Images(str(file), scaled(images, str(file)))
    numbers, classes = numbered(labels, len(images), str(file))
    return Images(str(file), scaled(images, str(file)), numbers, classes)


def numbered(labels: np.ndarray, n: int, source: str) -> tuple[np.ndarray, list[str]]:
    """Labels of any kind as numbers, and the classes that they number."""
    if labels.shape != (n,):
        raise ValueError(f"{source} holds {n} images, but labels of shape {labels.shape}")
    classes, numbers = np.unique(labels, return_inverse=True)
    return numbers.reshape(-1).astype(np.int64), [str(name) for name in classes.tolist()]


def scaled(images: np.ndarray, source: str) -> np.ndarray:
    """(n, H, W), (n, H, W, 3) or (n, c, H, W) -> float32 (n, c, H, W) in [0, 1].

    Bytes are divided by 255, floats must lie in [0, 1] already.
    """
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[3] in (1, 3) and images.shape[1] not in (1, 3):
        images = images.transpose(0, 3, 1, 2)
    if images.ndim != 4 or images.shape[1] not in (1, 3) or images.shape[2] != images.shape[3]:
        raise ValueError(
            f"{source}: images must be (n, H, W), (n, H, W, 3) or (n, c, H, W), square, with 1 or "
            f"3 channels, got shape {images.shape}"
        )
    if images.dtype == np.uint8:
        return np.ascontiguousarray(images / np.float32(255), np.float32)
    inside = images.dtype.kind == "f" and bool(((images >= 0) & (images <= 1)).all())
    if not inside:
        raise ValueError(
            f"{source}: pixels must be bytes, or floats from 0 to 1, got {images.dtype} from "
            f"{images.min():.4g} to {images.max():.4g}"
        )
    return np.ascontiguousarray(images, np.float32)


def from_folder(folder: Path) -> Images:
    """The PNGs of a folder, or of its sub-folders, which then name their classes."""
    inner = sorted(path for path in folder.iterdir() if path.is_dir())
    labelled = [(file, path.name) for path in inner for file in sorted(path.glob("*.png"))]
    flat = [(file, "") for file in sorted(folder.glob("*.png"))]
    files = labelled or flat
    if not files:
        raise ValueError(f"{folder} holds no PNG, nor do its sub-folders (one a class)")
    pictures = [read_png(file) for file, _ in files]
    check_one_size(pictures, [file for file, _ in files])
    images = scaled(np.stack(pictures), str(folder))
    names = [file.relative_to(folder).as_posix() for file, _ in files]
    if not labelled:
        return Images(str(folder), images, files=names)
    numbers, classes = numbered(np.array([name for _, name in files]), len(files), str(folder))
    return Images(str(folder), images, numbers, classes, names)


def read_png(file: Path) -> np.ndarray:
    """A picture (c, H, W) in [0, 1] without its transparency."""
    from matplotlib.image import imread

    try:
        picture = np.asarray(imread(file), np.float32)
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{file} is not a whole PNG: {error}") from None
    if picture.ndim == 2:
        return picture[None]
    channels = 1 if picture.shape[2] == 2 else min(picture.shape[2], 3)
    return picture[..., :channels].transpose(2, 0, 1)


def check_one_size(pictures: list[np.ndarray], files: list[Path]) -> None:
    """Raise ValueError that names two pictures of different sizes."""
    for picture, file in zip(pictures, files):
        if picture.shape != pictures[0].shape:
            first, other = (" × ".join(map(str, p.shape)) for p in (pictures[0], picture))
            raise ValueError(
                f"images must be of one size, but {files[0]} is {first} and {file} is {other} "
                f"(channels × height × width); crop or scale them first"
            )
