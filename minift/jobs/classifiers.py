"""A classifier as the jobs use it: the model, its tokenizer, its task, and how it reads texts.

What a Hugging Face folder has no place for stands beside it in `minift.json`: the length at which
texts were cut in training, and whether the model reads pairs.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minift import hub
from minift.backend import to_device, to_numpy
from minift.data import BPETokenizer, BucketSampler, TokenDataset, WordPieceTokenizer
from minift.jobs.tasks import RegressionTask, Task, task_of
from minift.models import (
    AutoModelForSequenceClassification,
    GPT2Config,
    load,
)
from minift.models.classifier import TextClassifier
from minift.models.pretrained import PretrainedModel
from minift.nn import Linear, init
from minift.nn.module import walk
from minift.tape import no_grad

NOTES = "minift.json"
BATCH_TOKENS = 4096  # of a batch without gradients


@dataclass
class Classifier:
    """Texts to scores. `text` and `text_pair` are the columns of training; None: no pairs."""

    model: Any  # a TextClassifier
    tokenizer: Any
    task: Task
    max_length: int
    text: str | None = None
    text_pair: str | None = None
    offsets: dict[str, float] | None = None  # moved thresholds, which the head's biases contain

    def dataset(
        self, texts: Sequence[str], pairs: Sequence[str] | None, **targets: np.ndarray
    ) -> TokenDataset:
        """Texts as the model reads them, cut to `max_length`."""
        return self.tokenizer.dataset(texts, self.max_length, pairs, **targets)

    def lengths(self, texts: Sequence[str], pairs: Sequence[str] | None) -> np.ndarray:
        """Tokens of each text before it is cut, (n,)."""
        return np.array([len(ids) for ids in self.tokenizer.encode_all(texts, pairs=pairs)])

    @no_grad()
    def outputs(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> np.ndarray:
        """Raw scores (n, L) float32, in evaluation mode."""
        dataset = self.dataset(texts, pairs)
        outputs = np.empty((len(dataset), len(self.task.names)), np.float32)
        longest = int(dataset.lengths.max(initial=1))
        with self.model.evaluating():
            for rows in BucketSampler(dataset.lengths, max(BATCH_TOKENS, longest)).batches(0):
                outputs[rows] = self.model(**dataset.padded(rows)).numpy()
        return outputs

    def save(self, folder: Path) -> None:
        """A Hugging Face folder, and the notes."""
        self.model.save_pretrained(folder, self.tokenizer)
        notes: dict[str, Any] = {"max_length": self.max_length}
        notes |= {"text": self.text, "text_pair": self.text_pair}
        if self.offsets is not None:
            notes["moved_thresholds"] = self.offsets
        hub.write(folder / NOTES, (json.dumps(notes, indent=1) + "\n").encode("utf-8"))


# --------------------------------------------------------------------------------- opening one


def open_classifier(place: str | Path) -> Classifier:
    """A fine-tuned classifier, from its folder or that of its run.

    Raises FileNotFoundError or ValueError in a sentence for what is not there, is damaged, or does
    not classify.
    """
    folder = hub.resolve(place)
    model = load(folder)
    if not isinstance(model, TextClassifier):
        raise ValueError(f"{place} holds a {model.architecture}, which does not classify")
    config = model.config
    assert config.id2label is not None
    names = [config.id2label[i] for i in range(config.num_labels)]
    notes = read_notes(folder)
    limit = config.max_position_embeddings
    return Classifier(
        model,
        model.tokenizer,
        task_of(config.problem_type, names),
        min(notes.get("max_length") or limit, limit),
        notes.get("text"),
        notes.get("text_pair"),
    )


def read_notes(folder: Path) -> dict[str, Any]:
    """What `save` wrote; {} for a folder that was made elsewhere. Raises ValueError."""
    file = folder / NOTES
    try:
        notes = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except ValueError as error:
        raise ValueError(f"{file} is not JSON: {error}") from None
    length = notes.get("max_length") if isinstance(notes, dict) else 0
    if not (length is None or (isinstance(length, int) and length > 2)):
        raise ValueError(f"{file} is damaged: it should hold max_length, 3 or more")
    return notes


def open_for_training(
    place: str | Path, task: Task, pairs: bool, pooling: str | None = None
) -> tuple[Any, bool]:
    """The model in a folder with a head for the task, and whether the head was kept.

    It is only if it was made for the same labels and reads the text in the same way (`pooling`,
    None: as the folder says); the task then takes their order. The tokenizer is in
    `model.tokenizer`. Raises FileNotFoundError or ValueError.
    """
    folder = hub.resolve(place)
    saved = hub.read_config(folder)
    decoder = saved.get("model_type") == GPT2Config.model_types[0]
    reader = BPETokenizer if decoder else WordPieceTokenizer
    tokenizer: Any = reader.from_pretrained(folder)
    was = saved.get("classifier_pooling", "cls")
    changes = {"classifier_pooling": pooling or was}
    if decoder:
        check_for_decoder(place, task, pooling)
        changes = {"pad_token_id": tokenizer.pad_id}
    known = same_names(saved, task) if pooling in (None, was) else None
    task.names = known or task.names
    names = dict(enumerate(task.names))
    with quiet():
        model = AutoModelForSequenceClassification.from_pretrained(
            folder,
            num_labels=len(names),
            id2label=names,
            problem_type=task.problem_type,
            **changes,
        )
    if tokenizer.vocab_size > model.config.vocab_size:
        raise ValueError(
            f"the vocabulary in {place} holds {tokenizer.vocab_size:,} pieces, the model only "
            f"{model.config.vocab_size:,}; one of them is another model's"
        )
    if pairs and model.config.type_vocab_size < 2:
        raise ValueError(
            f"{place} knows one segment only (type_vocab_size 1), so it reads no pairs"
        )
    if known is None:
        renew_head(model, model.config.initializer_range)
    model.tokenizer = tokenizer
    return model, known is not None


def check_for_decoder(place: str | Path, task: Task, pooling: str | None) -> None:
    """Raise ValueError for what a GPT-2 cannot be made into."""
    if pooling is not None:
        raise ValueError(f"{place} holds a GPT-2, which is read off its last token: no --pooling")
    if isinstance(task, RegressionTask):
        raise ValueError(f"{place} holds a GPT-2, whose head without a bias fits no numbers")


def same_names(saved: dict[str, Any], task: Task) -> list[str] | None:
    """The labels of a saved model in its order, if they are the task's; else None."""
    try:
        names = sorted((int(key), name) for key, name in saved["id2label"].items())
    except (KeyError, AttributeError, ValueError):
        return None
    listed = [str(name) for _, name in names]
    same = saved.get("problem_type") in (None, task.problem_type)
    return listed if same and sorted(listed) == sorted(task.names) else None


def output_layer(model: PretrainedModel) -> Linear:
    """The layer that gives the scores: the last Linear, whatever a family calls it."""
    return [module for _, module in walk(model) if isinstance(module, Linear)][-1]


def renew_head(model: PretrainedModel, std: float) -> None:
    """Draw the last layer anew: that of a model with other labels would start in their favour."""
    head = output_layer(model)
    head.weight.data = init.normal(head.weight.shape, std)
    if head.bias is not None:
        head.bias.data = init.zeros(head.bias.shape)


def rescale_head(model: PretrainedModel, factor: float, shift: float | np.ndarray) -> None:
    """From scores z to factor · z + shift, in the last layer's weights; a shift may be (L,)."""
    head = output_layer(model)
    assert head.bias is not None
    head.weight.data = head.weight.data * factor
    bias = to_numpy(head.bias.data) * factor + shift
    head.bias.data = to_device(bias.astype(head.bias.dtype), head.bias.device)


@contextmanager
def quiet() -> Iterator[None]:
    """Warnings about loading are said by `describe_loading`, in their place."""
    log = logging.getLogger("minift")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def describe_loading(model: PretrainedModel, kept_head: bool) -> str:
    """What came from the folder and what is new, in words."""
    assert model.load_report is not None
    report = model.load_report
    head = "its head is kept" if kept_head else "its head was for other labels, so it starts anew"
    return f"{len(report.loaded)} tensors loaded; {report.notes[0] if report.notes else head}"
