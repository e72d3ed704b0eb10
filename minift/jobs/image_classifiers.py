"""A classifier of images as the jobs use it: the model, how it reads pixels, its task.

The model is a ViT or a ResNet in a Hugging Face folder, or an `ImageClassifier`: the encoder that
`minift pretrain` makes of images, with a head. Its config.json has the size of the images and the
names of the classes, `preprocessor_config.json` beside it how pixels are scaled.

Not here: how it is trained (`image_finetuning/`), what a judgement consists of
(`image_evaluation.py`). The same for texts: `classifiers.py` and `prediction.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minift import hub
from minift.data import ArrayDataset, ImageProcessor
from minift.data.datasets import Batch
from minift.jobs.classifiers import quiet, renew_head, same_names
from minift.jobs.images import Images
from minift.jobs.tasks import ClassificationTask
from minift.models import ImageClassifier, ResNetForImageClassification, ViTForImageClassification
from minift.models.pretrained import PretrainedModel, made_for
from minift.nn import Module
from minift.tape import no_grad
from minift.tensor import Tensor

MODELS: dict[str, type[PretrainedModel]] = {  # by the model_type of a config.json
    model_type: model
    for model in (ImageClassifier, ResNetForImageClassification, ViTForImageClassification)
    for model_type in model.config_class.model_types
}
CHUNK = 500  # images that are judged at once
CHUNK_VALUES = 2**22  # numbers in them, if they are large
HEAD_STD = 0.01  # of a new head: at first all classes are about as likely


@dataclass
class Classifier:
    """Images to scores."""

    model: Any  # one of MODELS
    processor: ImageProcessor
    task: ClassificationTask

    def dataset(self, images: np.ndarray, targets: np.ndarray) -> ProcessedImages:
        """Images (n, c, H, W) as the model reads them, and their classes (n,)."""
        return ProcessedImages(self.processor, images, targets)

    def scores(self, images: np.ndarray) -> np.ndarray:
        """Images (n, c, H, W) -> raw scores (n, L), in evaluation mode."""
        return self.read(images, self.model)

    def features(self, images: np.ndarray, watch: Callable[[int], None]) -> np.ndarray:
        """Images (n, c, H, W) -> what the head reads of them (n, F), in evaluation mode.

        `watch` is told how many were read.
        """
        return self.read(images, self.model.features, watch)

    @no_grad()
    def read(
        self,
        images: np.ndarray,
        function: Callable[[np.ndarray], Tensor],
        watch: Callable[[int], None] = lambda count: None,
    ) -> np.ndarray:
        """The rows that `function` makes of processed images, a few of them at a time."""
        size, found = self.processor.size or images.shape[2], []
        step = max(1, min(CHUNK, CHUNK_VALUES // (self.processor.channels * size**2)))
        with self.model.evaluating():
            for start in range(0, len(images), step):
                block = self.processor(images[start : start + step])
                found.append(function(block).numpy())
                watch(len(block))
        return np.concatenate(found)

    def answers(self, images: Images) -> Iterator[dict[str, Any]]:
        """One answer an image, as `Task.answer`, with the name or the number of the image."""
        for start in range(0, len(images), CHUNK):
            scores = self.scores(images.images[start : start + CHUNK])
            for row, output in enumerate(scores, start):
                yield {"image": images.name(row), **self.task.answer(output)}

    def save(self, folder: Path) -> None:
        """A Hugging Face folder, and how its pixels are scaled."""
        self.model.save_pretrained(folder)
        self.processor.save_pretrained(folder)


class Head(Module):
    """The last part of a classifier of images, on features that are there: (B, F) -> (B, L).

    All weights are the classifier's own; those of its body rest.
    """

    def __init__(self, model: Any):
        self.model = model

    def forward(self, features: np.ndarray) -> Tensor:
        return self.model.classify(Tensor(features, device=self.model.parameters()[0].device))


class ProcessedImages(ArrayDataset):
    """Images and their classes, processed a batch at a time: scaled up, all would fill the memory.

    `pixel_values` (B, c, H, W) and `labels` (B,).
    """

    def __init__(self, processor: ImageProcessor, images: np.ndarray, labels: np.ndarray) -> None:
        super().__init__(pixel_values=images, labels=labels)
        self.processor = processor

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {name: rows[0] for name, rows in self.__getitems__(np.array([index])).items()}

    def __getitems__(self, indices: np.ndarray) -> Batch:
        batch = super().__getitems__(indices)
        return {**batch, "pixel_values": self.processor(batch["pixel_values"])}


# --------------------------------------------------------------------------------- opening one


def reads_images(place: str | Path) -> bool:
    """Whether a model's folder, or a run's, holds a model of images.

    Raises FileNotFoundError or ValueError if it holds no model.
    """
    return hub.read_config(hub.resolve(place)).get("model_type") in MODELS


def open_classifier(place: str | Path, images: Images) -> Classifier:
    """The classifier in a folder, in evaluation mode, for these images.

    Raises FileNotFoundError, or ValueError for what is damaged, has no classes or was made for
    other images.
    """
    folder = hub.resolve(place)
    saved = hub.read_config(folder)
    kind = model_class(place, saved)
    if made_for(saved) != kind.__name__:
        raise ValueError(
            f"{place} holds the architecture {made_for(saved)}, which has no classes; minift "
            f"finetune gives it a head"
        )
    model = kind.from_pretrained(folder)
    names = [model.config.id2label[i] for i in range(model.config.num_labels)]
    task = ClassificationTask(distinct(names))
    return Classifier(model, processor_for(place, model, images), task)


def open_for_training(
    place: str | Path, task: ClassificationTask, images: Images
) -> tuple[Classifier, bool]:
    """The encoder in a folder with a head for the classes, and whether the head was kept.

    It is only if it was made for the same classes; the task then takes their order. Raises
    FileNotFoundError, or ValueError for a folder that holds no encoder of such images.
    """
    folder = hub.resolve(place)
    saved = hub.read_config(folder)
    kind = model_class(place, saved)
    known = same_names(saved, task)
    kept = known is not None and made_for(saved) == kind.__name__
    task.names = known or task.names
    with quiet():
        model = kind.from_pretrained(
            folder,
            num_labels=len(task.names),
            id2label=dict(enumerate(task.names)),
            problem_type=task.problem_type,
        )
    processor = processor_for(place, model, images)
    if not kept:
        renew_head(model, HEAD_STD)
    return Classifier(model, processor, task), kept


def model_class(place: str | Path, saved: dict[str, Any]) -> type[PretrainedModel]:
    """The classifier that stands on this kind of encoder. Raises ValueError if there is none."""
    kind = saved.get("model_type")
    if kind not in MODELS:
        raise ValueError(
            f"{place} holds a model of the type {kind!r}, no encoder of images: a ViT, a ResNet or "
            f"what minift pretrain makes"
        )
    return MODELS[kind]


def processor_for(place: str | Path, model: PretrainedModel, images: Images) -> ImageProcessor:
    """How the model in a folder reads pixels. Raises ValueError unless it can read these."""
    config = model.config
    size = getattr(config, "image_size", None)  # a ResNet reads any
    processor = ImageProcessor.from_pretrained(hub.resolve(place), config.num_channels, size)
    processor.check(images.images.shape[1:], images.source, place)
    return processor


def distinct(names: list[str]) -> list[str]:
    """Names of classes with a number behind the second of a name: ImageNet has two cranes."""
    return [f"{name} ({i})" if name in names[:i] else name for i, name in enumerate(names)]


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
