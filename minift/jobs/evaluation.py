"""Judge a fine-tuned model on a table that it has not seen: what `minift evaluate` does with texts.

The same with images: `image_evaluation.py`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import minift
from minift.data import Table, read_csv
from minift.data.tables import count
from minift.fetch import data_file
from minift.jobs import folder as run_folder
from minift.jobs import words
from minift.jobs.classifiers import Classifier, open_classifier
from minift.jobs.examples import Examples, read_examples
from minift.jobs.judging import draw, write_mistakes
from minift.jobs.prediction import check_pairs
from minift.train import choose_device
from minift.train.machine import machine


@dataclass(frozen=True)
class Options:
    """What a user can say."""

    model: str | Path
    data: str | Path | Table
    text: str
    label: str
    output: Path
    text_pair: str | None = None
    device: str = "auto"
    overwrite: bool = False


@dataclass
class Plan:
    """All that is needed, checked."""

    options: Options
    classifier: Classifier
    examples: Examples
    targets: np.ndarray
    device: str


def prepare(options: Options) -> Plan:
    """Read and check everything; writes nothing. Raises ValueError, OSError or RuntimeError."""
    device = choose_device(options.device)
    run_folder.check_folder(options.output, options.overwrite)
    classifier = open_classifier(options.model)
    classifier.model.to(device)
    check_pairs(classifier, options.text_pair is not None, "--text-pair")
    table = options.data if isinstance(options.data, Table) else read_csv(data_file(options.data))
    examples = read_examples(table, options.text, options.text_pair, options.label)
    return Plan(options, classifier, examples, classifier.task.read(examples), device)


def run(plan: Plan, command: Sequence[str] = ()) -> dict[str, Any]:
    """Judge and write, after `prepare`; returns the content of metrics.json."""
    classifier, examples, output = plan.classifier, plan.examples, plan.options.output
    started = time.perf_counter()
    outputs = classifier.outputs(examples.texts, examples.pairs)
    lengths = classifier.lengths(examples.texts, examples.pairs)
    results = {
        "task": classifier.task.kind,
        "rows": {
            "judged": len(examples),
            "empty": examples.empty,
            "truncated": int((lengths > classifier.max_length).sum()),
        },
        **classifier.task.scores(plan.targets, outputs),
        "warning": classifier.task.warning(outputs),
        "seconds": round(time.perf_counter() - started, 2),
    }
    run_folder.clear(output)
    run_folder.write_json(output / run_folder.RUN, record_of(plan, command))
    run_folder.write_json(output / "metrics.json", results)
    draw(classifier.task, plan.targets, outputs, output)
    write_mistakes(classifier.task, examples, plan.targets, outputs, output)
    print(report(plan, results))
    return results


def record_of(plan: Plan, command: Sequence[str]) -> dict[str, Any]:
    """What run.json says."""
    return {
        "minift": minift.__version__,
        "command": list(command),
        "model": str(plan.options.model),
        "data": {**run_folder.fingerprint(plan.examples.source), "rows": len(plan.examples)},
        "machine": machine(plan.device),
    }


def report(plan: Plan, results: dict[str, Any]) -> str:
    """The numbers for the reader."""
    task, rows = plan.classifier.task, results["rows"]
    left_out = f", {rows['empty']:,} with an empty text left out" if rows["empty"] else ""
    cut = f", {count(rows['truncated'], 'text')} cut" if rows["truncated"] else ""
    lines = [f"{plan.options.model} on {plan.examples.source}:"]
    lines += [f"{count(rows['judged'], 'row')}{left_out}{cut}", ""]
    lines += words.judged(task.headline, results)
    files = ", ".join(sorted(path.name for path in plan.options.output.iterdir()))
    return "\n".join([*lines, "", f"{plan.options.output} holds {files}"])
