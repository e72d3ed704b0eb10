"""`minift predict`: label and probabilities of a text, as a line of JSON."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from minift.cli.arguments import MistakeError, add_device, chosen_device, folder


def add(commands: Any) -> None:
    """The command and its options."""
    command = commands.add_parser(
        "predict",
        help="classify a text with a fine-tuned model",
        description=(
            "Print one line of JSON: the label, and the probability of every class, the most\n"
            "probable first."
        ),
    )
    option = command.add_argument
    option("--model", type=folder, required=True, metavar="DIR", help="a model folder, or a run's")
    option("--text", required=True, help="the text to classify")
    add_device(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Classify one text."""
    device = chosen_device(options, "predict")
    model = load_classifier(options.model).to(device)
    problem = model.problem(options.text)
    if problem is not None:
        raise MistakeError(f"predict: {problem}")
    labels, probabilities = model.predict([options.text])
    names = [model.config.id2label[i] for i in range(model.config.num_labels)]
    ranked = sorted(zip(names, probabilities[0].tolist()), key=lambda pair: -pair[1])
    shown = {name: round(probability, 4) for name, probability in ranked}
    print(json.dumps({"label": labels[0], "probabilities": shown}, ensure_ascii=False))
    return 0


def load_classifier(folder: Path) -> Any:
    """The classifier in a model folder, or in `model/` of a run's folder. Raises MistakeError."""
    from minift.models import BertForSequenceClassification, load

    inner = folder / "model"
    try:
        model = load(inner if inner.is_dir() else folder)
    except (ValueError, OSError) as error:
        raise MistakeError(f"predict: {error}") from None
    if not isinstance(model, BertForSequenceClassification):
        raise MistakeError(
            f"predict: {folder} holds a {model.architecture}, which does not classify"
        )
    return model
