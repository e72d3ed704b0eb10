"""The picture of a run: what it shows, and that it asks for no display."""

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

from minift.plot import comparison as plot
from minift.train.records import append_record

REACHED = {"loss": 4.5, "unigram": 6.8, "masked_accuracy": 0.3, "most_frequent": 0.04}


def runs():
    names = list(plot.STRATEGY_NAMES)
    return [
        {"labels_per_class": labels, "strategy": name, "seed": seed, "macro_f1": 0.2,
         "accuracy": 0.01 * labels + 0.05 * i + 0.02 * seed, "seconds": 1.0}
        for labels in (8, 32) for i, name in enumerate(names) for seed in (0, 1)
    ]  # fmt: skip


def write_log(folder):
    for step in range(1, 41):
        append_record(folder / "train.jsonl", {"run": "pre-training", "step": step, "loss": 7.0})
    append_record(folder / "train.jsonl", {"run": "pre-training", **REACHED})
    append_record(folder / "train.jsonl", {"run": "fine-tuning", "step": 99, "loss": 1.0})


def test_report_is_a_picture_of_readme_width(tmp_path):
    write_log(tmp_path)
    results = {"pretraining": REACHED, "finetuning": runs()}
    content = plot.report(results, tmp_path).read_bytes()
    assert content.startswith(b"\x89PNG")
    width = int.from_bytes(content[16:20], "big")
    assert 900 <= width <= 1600


def test_the_curve_has_pretraining_steps_alone_and_both_comparisons(tmp_path):
    write_log(tmp_path)
    axes = Figure().subplots()
    plot.draw_pretraining(axes, plot.read_records(tmp_path / "train.jsonl"), REACHED)
    raw, mean, unigram, held_out = axes.get_lines()
    assert list(raw.get_xdata()) == list(range(1, 41))
    np.testing.assert_allclose(mean.get_ydata(), 7.0)
    assert set(unigram.get_ydata()) == {6.8}
    assert list(held_out.get_ydata()) == [4.5]
    assert [text.get_text() for text in axes.texts] == ["word frequencies: 6.80", "held out: 4.50"]
    assert "nats" in axes.get_ylabel()
    assert "step" in axes.get_xlabel()


def test_the_comparison_has_means_and_deviations_of_every_strategy():
    axes = Figure().subplots()
    plot.draw_comparison(axes, runs())
    assert len(axes.containers) == len(plot.STRATEGY_NAMES)
    line, _, (bars,) = axes.containers[1].lines  # head_only: i = 1
    np.testing.assert_allclose(np.array(line.get_ydata(), float), [8 + 5 + 1, 32 + 5 + 1])
    (_, low), (_, high) = bars.get_segments()[0]
    assert high - low == pytest.approx(2 * np.std([13, 15], ddof=1))
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert sorted(legend) == sorted(plot.STRATEGY_NAMES.values())


def test_one_seed_has_no_deviation():
    axes = Figure().subplots()
    plot.draw_comparison(axes, [run for run in runs() if run["seed"] == 0])
    _, _, (bars,) = axes.containers[0].lines
    (_, low), (_, high) = bars.get_segments()[0]
    assert low == high


def test_the_running_mean_averages_a_fortieth_to_each_side():
    numbers = np.arange(40.0) ** 2
    expected = [0.5, *(numbers[:-2] + numbers[1:-1] + numbers[2:]) / 3, (38**2 + 39**2) / 2]
    np.testing.assert_allclose(plot.running_mean(numbers), expected)
    np.testing.assert_allclose(plot.running_mean(numbers[:7]), numbers[:7])


def test_every_strategy_has_a_look_of_its_own():
    assert plot.LOOKS.keys() == plot.STRATEGY_NAMES.keys()
    for what in (0, 1):
        assert len({look[what] for look in plot.LOOKS.values()}) == len(plot.LOOKS)


def test_matplotlib_is_imported_on_use_and_pyplot_never():
    code = "import sys, minift.plot; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert "matplotlib.pyplot" not in sys.modules
