"""`minift predict`: label and probabilities of texts or images, a line of JSON each."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from minift.cli.arguments import (
    MistakeError,
    add_device,
    check_for_images,
    check_for_texts,
    chosen_device,
    folder,
)


def add(commands: Any) -> None:
    """The command and its options."""
    command = commands.add_parser(
        "predict",
        help="classify a text, every row of a CSV file, or images, with a fine-tuned model",
        description=(
            "Print one line of JSON a text: the label, and the probability of every class, the\n"
            'most probable first. A text that cannot be read gets "label": null. The rows of\n'
            "--data (CSV, TSV or JSON lines; - is standard input) are answered as they come. A\n"
            "model of images takes an .npz (images), a folder of PNGs, digits, fashion-mnist or\n"
            "mnist."
        ),
    )
    option = command.add_argument
    option("--model", type=folder, required=True, metavar="DIR", help="a model folder, or a run's")
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument("--text", help="the text to classify")
    what.add_argument("--data", metavar="FILE|NAME", help="a table of texts, or images")
    option("--text-pair", metavar="TEXT", help="the second text, for a model of pairs")
    option("--text-column", metavar="COLUMN", help="the column of texts (as in training)")
    option("--text-pair-column", metavar="COLUMN", help="that of second texts (as in training)")
    add_device(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Answer one text, all of a table, or all images."""
    from minift.jobs.image_classifiers import reads_images

    check_words(options)
    device = chosen_device(options, "predict")
    try:
        answers = image_answers if reads_images(options.model) else text_answers
        for answer in answers(options, device):
            print(json.dumps(answer, ensure_ascii=False))
    except BrokenPipeError:  # nobody reads on: not a mistake
        raise
    except (ValueError, OSError) as error:
        raise MistakeError(f"predict: {error}") from None
    return 0


def check_words(options: argparse.Namespace) -> None:
    """Raises MistakeError for an option that belongs to the other way of asking."""
    table = ("--text-column", options.text_column), ("--text-pair-column", options.text_pair_column)
    single = (("--text-pair", options.text_pair),)
    for name, value in table if options.data is None else single:
        if value is not None:
            needed = "--data" if options.data is None else "--text"
            raise MistakeError(f"predict: {name} goes with {needed}")


def image_answers(options: argparse.Namespace, device: str) -> Iterator[dict[str, Any]]:
    """The answers to images. Raises ValueError or OSError."""
    from minift.jobs.image_classifiers import open_classifier
    from minift.jobs.images import read_images

    check_for_images(options, ("text", "text_pair", "text_column", "text_pair_column"))
    images = read_images(options.data)
    classifier = open_classifier(options.model, images)
    classifier.model.to(device)
    return classifier.answers(images)


def text_answers(options: argparse.Namespace, device: str) -> Iterator[dict[str, Any]]:
    """The answers to a text or a table. Raises ValueError or OSError."""
    from minift.jobs import prediction
    from minift.jobs.classifiers import open_classifier

    check_for_texts(options)
    classifier = open_classifier(options.model)
    classifier.model.to(device)
    if options.data is not None:
        yield from table_answers(options, classifier)
        return
    prediction.check_pairs(classifier, options.text_pair is not None, "--text-pair")
    answer = next(prediction.answers(classifier, [(options.text, options.text_pair)]))
    if answer["label"] is None:
        raise ValueError(answer["problem"])
    yield answer


def table_answers(options: argparse.Namespace, classifier: Any) -> Iterator[dict[str, Any]]:
    """The answers to the rows of a table, read as they are needed."""
    from minift.data import open_table
    from minift.fetch import data_file
    from minift.jobs import prediction

    text = options.text_column or classifier.text
    pair = options.text_pair_column or classifier.text_pair
    if text is None:
        raise ValueError("--data needs --text-column, which names the column of texts")
    prediction.check_pairs(classifier, pair is not None, "--text-pair-column")
    with open_table(data_file(options.data)) as table:
        first = table.place_of(text)
        second = None if pair is None else table.place_of(pair)
        yield from prediction.answers(
            classifier,
            ((row.fields[first], None if second is None else row.fields[second]) for row in table),
        )
