"""Answers to texts, a few hundred at a time, in their order: what `minift predict` does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from minift.jobs.classifiers import Classifier

CHUNK = 256  # texts in memory; enough to sort them by length into full batches

Question = tuple[str, str | None]  # a text, and the second one of a pair


def answers(classifier: Classifier, questions: Iterable[Question]) -> Iterator[dict[str, Any]]:
    """One answer a question, as `Task.answer`; to what cannot be read `label` is None.

    Questions are taken as they are needed, so that they may be more than fit into memory.
    """
    waiting = iter(questions)
    while chunk := list(islice(waiting, CHUNK)):
        yield from answer_chunk(classifier, chunk)


def answer_chunk(classifier: Classifier, chunk: list[Question]) -> list[dict[str, Any]]:
    """The answers to a list of questions."""
    problems = [problem(classifier, question) for question in chunk]
    readable = [i for i, reason in enumerate(problems) if reason is None]
    found: list[dict[str, Any]] = [{"label": None, "problem": reason} for reason in problems]
    if readable:
        texts = [chunk[i][0] for i in readable]
        seconds = [second for i in readable if (second := chunk[i][1]) is not None]
        outputs = classifier.outputs(texts, seconds or None)
        for i, output in zip(readable, outputs):
            found[i] = classifier.task.answer(output)
    return found


def problem(classifier: Classifier, question: Question) -> str | None:
    """Why a text, or the second one, cannot be read, or None."""
    reasons = (classifier.model.problem(text) for text in question if text is not None)
    return next((reason for reason in reasons if reason is not None), None)


def check_pairs(classifier: Classifier, has_pair: bool, option: str) -> None:
    """Raises ValueError if pairs are asked of a model for single texts, or the other way round."""
    if classifier.text_pair is not None and not has_pair:
        raise ValueError(f"the model reads pairs of texts; give the second one with {option}")
    if classifier.text is not None and classifier.text_pair is None and has_pair:
        raise ValueError(f"the model was trained on single texts; leave out {option}")
    if has_pair and classifier.model.config.type_vocab_size < 2:
        raise ValueError(f"the model knows one segment only, so it reads no pairs: leave {option}")
