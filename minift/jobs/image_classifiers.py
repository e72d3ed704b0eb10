"""A classifier of images as the jobs use it: which folder holds one, its scores, its answers.

It is what `minift finetune` leaves of images. Everything about it stands in its config.json: the
size of the images and the names of the classes.

Not here: how it is trained (`image_finetuning/`), what a judgement consists of
(`image_evaluation.py`). The same for texts: `classifiers.py` and `prediction.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minift import hub
from minift.jobs.images import Images
from minift.jobs.tasks import ClassificationTask
from minift.models import ImageClassifier
from minift.models.pretrained import made_for
from minift.tape import no_grad

CHUNK = 500  # images that are judged at once


def reads_images(place: str | Path) -> bool:
    """Whether a model's folder, or a run's, holds a classifier of images.

    Raises FileNotFoundError or ValueError if it holds no model.
    """
    return made_for(hub.read_config(hub.resolve(place))) == ImageClassifier.__name__


def open_image_classifier(
    place: str | Path, images: Images
) -> tuple[ImageClassifier, ClassificationTask]:
    """The classifier in a folder, in evaluation mode, for these images.

    Raises FileNotFoundError, or ValueError for what is damaged or made for another size.
    """
    model = ImageClassifier.from_pretrained(place)
    check_size(place, model, images)
    assert model.config.id2label is not None
    names = [model.config.id2label[i] for i in range(model.config.num_labels)]
    return model, ClassificationTask(names)


def check_size(place: str | Path, model: ImageClassifier, images: Images) -> None:
    """Raise ValueError unless the model takes these images."""
    shape = model.config.image_shape
    if images.images.shape[1:] != shape:
        data, ours = (" × ".join(map(str, size)) for size in (images.images.shape[1:], shape))
        raise ValueError(
            f"the images of {images.source} are {data} (channels × height × width), but {place} "
            f"is for {ours}"
        )


def targets_of(images: Images, task: ClassificationTask) -> np.ndarray:
    """Classes (n,) in the task's order. Raises ValueError for a class that it does not have."""
    assert images.labels is not None
    assert images.classes is not None
    order = {name: i for i, name in enumerate(task.names)}
    strange = [name for name in images.classes if name not in order]
    if strange:
        raise ValueError(
            f"{images.source} has images of the class {strange[0]!r}, but the model knows "
            f"{task.known()}"
        )
    return np.array([order[name] for name in images.classes])[images.labels]


@no_grad()
def scores_of(model: ImageClassifier, images: np.ndarray) -> np.ndarray:
    """Images (n, c, H, W) -> raw scores (n, L), in evaluation mode."""
    with model.evaluating():
        blocks = [images[i : i + CHUNK] for i in range(0, len(images), CHUNK)]
        return np.concatenate([model(block).numpy() for block in blocks])


def answers(
    model: ImageClassifier, task: ClassificationTask, images: Images
) -> Iterator[dict[str, Any]]:
    """One answer an image, as `Task.answer`, with the name or the number of the image."""
    for start in range(0, len(images), CHUNK):
        scores = scores_of(model, images.images[start : start + CHUNK])
        for row, output in enumerate(scores, start):
            yield {"image": images.name(row), **task.answer(output)}
