"""What counts as the same quickstart on two devices, and what does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from gpu.same_results import differences

RESULTS: dict[str, Any] = {
    "machine": {"device": "cpu"},
    "pretraining": {"loss": 6.08, "masked_accuracy": 0.0965},
    "finetuning": [{"strategy": "scratch", "accuracy": 0.247, "seconds": 6.8}],
}


def folder(path: Path, results: dict[str, Any], losses: list[float]) -> Path:
    """A quickstart's folder with these results."""
    path.mkdir()
    (path / "results.json").write_text(json.dumps(results))
    lines = [json.dumps({"step": i, "loss": loss, "seconds": 1}) for i, loss in enumerate(losses)]
    (path / "train.jsonl").write_text("\n".join([*lines, '{"run": "fine-tuning"}']))
    return path


def changed(part: str, key: str, value: Any) -> dict[str, Any]:
    """The results with one number changed."""
    results = json.loads(json.dumps(RESULTS))
    place = results[part] if isinstance(results[part], dict) else results[part][0]
    place[key] = value
    return results


@pytest.mark.parametrize(
    ("part", "key", "value", "said"),
    [
        ("machine", "device", "cuda", []),
        ("finetuning", "seconds", 90.0, []),
        ("pretraining", "loss", 6.08005, []),
        ("pretraining", "loss", 6.0803, ["results.json, pretraining, loss: 6.08 and 6.0803"]),
        ("finetuning", "accuracy", 0.2471,
         ["results.json, finetuning 0, accuracy: 0.247 and 0.2471"]),
    ],
)  # fmt: skip
def test_losses_may_differ_a_little_and_accuracies_not_at_all(
    tmp_path: Path, part: str, key: str, value: Any, said: list[str]
) -> None:
    here = folder(tmp_path / "cpu", RESULTS, [6.5, 6.4])
    there = folder(tmp_path / "cuda", changed(part, key, value), [6.5, 6.40005])
    assert differences(here, there) == said


def test_a_loss_that_drifts_and_a_missing_line_are_named(tmp_path: Path) -> None:
    here = folder(tmp_path / "cpu", RESULTS, [6.5, 6.4])
    drifted = folder(tmp_path / "drifted", RESULTS, [6.5, 6.41])
    assert differences(here, drifted) == ["train.jsonl, line 2, loss: 6.4 and 6.41"]
    short = folder(tmp_path / "short", RESULTS, [6.5])
    assert differences(here, short) == ["train.jsonl: 3 lines and 2"]
