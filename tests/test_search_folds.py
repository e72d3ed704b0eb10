"""`minift search --folds` and `--outer-folds`: every row scores once, and none that it scores."""

import contextlib
import io
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from finetune_cases import mistake, pretrained, reviews, run, sentences, write_table

from minift.cli import main
from minift.jobs import finetuning, searching
from minift.jobs.parts import Parts, divide_into_folds
from minift.jobs.searching.objective import FineTuning, rows_to_learn
from minift.jobs.searching.space_files import read_space
from minift.jobs.searching.words import announce

SPACE = 'lr = [1e-3, 1e-2]\nstrategy = ["full", "head"]\nbatch_size = 8\n'


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return pretrained(tmp_path_factory.mktemp("pretrained"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data(tmp_path)
    return tmp_path


def data(folder):
    reviews(folder / "t.csv", 60)
    (folder / "space.toml").write_text(SPACE, encoding="utf-8")


@pytest.fixture(scope="module")
def finished(model, tmp_path_factory):
    """A folder with a finished nested search in out/, and what it said."""
    place, said = tmp_path_factory.mktemp("finished"), io.StringIO()
    data(place)
    with contextlib.chdir(place), contextlib.redirect_stdout(said):
        assert main(words(model, *NESTED)) == 0
    return place, said.getvalue()


@pytest.fixture
def whole(finished, monkeypatch):
    """In that folder, to read only: what was said."""
    monkeypatch.chdir(finished[0])
    return finished[1]


def words(model, *more, output="out"):
    return ["search", "--model", str(model), "--data", "t.csv", "--text", "text", "--label",
            "label", "--output", output, "--epochs", "2", "--device", "cpu", *more]  # fmt: skip


GRID = ("--space", "space.toml", "--method", "grid")
NESTED = (*GRID, "--folds", "3", "--outer-folds", "2")


def loaded(file):
    return json.loads(Path(file).read_text(encoding="utf-8"))


def lines_of(file):
    return [json.loads(line) for line in Path(file).read_text(encoding="utf-8").splitlines()][1:]


def searched(capsys, *arguments):
    code, out, err = run(capsys, *arguments)
    assert (code, err) == (0, "")
    return out


def options(model, **more):
    return finetuning.Options(data="t.csv", text="text", label="label", model=model,
                              output=Path("none"), epochs=2, device="cpu", **more)  # fmt: skip


def plan_of(model, **more):
    return searching.prepare(searching.Options(options(model), {"lr": [1e-3, 1e-2]}, **more))


def same_numbers(metrics):
    """metrics.json without what the clock says."""
    return {name: value for name, value in metrics.items() if name != "seconds"}


def corrected(scores, trained, held):
    """Nadeau & Bengio's interval by hand, with the quantiles of Student's t."""
    quantile = {2: 12.7062, 3: 4.30265}[len(scores)]
    half = quantile * math.sqrt((1 / len(scores) + held / trained) * np.var(scores, ddof=1))
    return [np.mean(scores) - half, np.mean(scores) + half]


# ------------------------------------------------------------------------- the rows of the folds


def test_folds_keep_the_classes_and_the_copies_and_leave_rows_for_the_best_epoch():
    marks = np.repeat([0, 1], [60, 30])
    groups = np.concatenate([np.arange(60), np.repeat(np.arange(60, 75), 2)])
    divisions = divide_into_folds(marks, groups, 5, 0.1, seed=3)
    assert sorted(np.concatenate([d.test for d in divisions]).tolist()) == list(range(90))
    for one in divisions:
        assert np.bincount(marks[one.test]).tolist() == [12, 6]
        assert len(one.validation) == 7
        parts = [set(groups[rows].tolist()) for rows in (one.train, one.validation, one.test)]
        assert len(set.union(*parts)) == sum(map(len, parts))
        assert sum(map(len, (one.train, one.validation, one.test))) == 90


# -------------------------------------------------------------------------------------- --folds


def accuracy_by_hand(model, parts, tmp_path, **settings):
    """Of a fine-tuning on the training rows of `parts`, on those of its test part."""
    told = replace(options(model, **settings), output=tmp_path / "by hand")
    plan = finetuning.prepare(told, parts)
    finetuning.train(plan)
    held = plan.examples.take(parts.test)
    given = plan.classifier.outputs(held.texts, held.pairs).argmax(axis=1)
    return np.mean([plan.classifier.task.names[i] for i in given] == np.array(held.labels))


def test_the_score_of_a_trial_is_the_mean_of_separate_fine_tunings(whole, model, tmp_path):
    assert (
        "54 rows in 3 folds, each scored once by what trained on 32 others and took its " in whole
    )
    assert "best epoch on 4 more; 6 test rows are put aside until the end\n" in whole
    plan = finetuning.prepare(options(model))
    rows = rows_to_learn(plan.parts)
    groups = plan.examples.groups[rows]
    scores = [
        accuracy_by_hand(
            model,
            Parts(rows[one.train], rows[one.validation], rows[one.test]),
            tmp_path / str(fold),
            lr=1e-2,
            strategy="full",
            batch_size=8,
        )
        for fold, one in enumerate(divide_into_folds(plan.targets[rows], groups, 3, 0.1, seed=0))
    ]
    found = [t for t in lines_of("out/trials.jsonl") if t["number"] == 2]
    assert found[0]["settings"] == {"lr": 1e-2, "strategy": "full", "batch_size": 8}
    assert len(set(scores)) > 1
    assert [t["score"] for t in found] == scores
    assert len(lines_of("out/trials.jsonl")) == 4 * 3
    assert (
        f"\ntrial 2: lr 0.01, strategy full, batch_size 8: accuracy {np.mean(scores):.4f}\n"
        in whole
    )


def test_the_best_is_best_by_the_mean_and_its_folds_are_told(whole):
    metrics, found = loaded("out/metrics.json"), lines_of("out/trials.jsonl")
    by_trial = [[t["score"] for t in found if t["number"] == n] for n in range(4)]
    best = max(range(4), key=lambda n: (np.mean(by_trial[n]), -n))
    assert metrics["best"]["trial"] == best
    folds = metrics["cross_validation"]
    assert folds["scores"] == by_trial[best]
    assert folds["mean"] == pytest.approx(np.mean(by_trial[best]))
    assert folds["interval"] == pytest.approx(corrected(folds["scores"], 36, 18), rel=1e-4)
    assert "validation" not in metrics
    assert metrics["test"] == loaded("out/best/metrics.json")["test"]
    shown = ", ".join(f"{score:.3f}" for score in folds["scores"])
    low, high = folds["interval"]
    assert (
        f"\naccuracy {folds['mean']:.3f} (95 %: {low:.3f} to {high:.3f}) as the mean of 3 folds "
        f"({shown}), which chose among 4 trials; {metrics['test']['accuracy']:.3f} on the test "
    ) in whole


def test_without_a_choice_it_is_the_cross_validation_of_one_fine_tuning(capsys, here, model):
    out = searched(capsys, *words(model, "--folds", "4", "--seed", "1"))
    assert "\n4-fold cross-validation of one fine-tuning, by accuracy, 1 at a time\n" in out
    found = lines_of("out/trials.jsonl")
    for line in found:
        assert f"\nfold {line['fold'] + 1} of 4: accuracy {line['score']:.4f}\n" in out
    metrics = loaded("out/metrics.json")
    assert metrics["best"]["settings"] == {"strategy": "full"}
    assert metrics["cross_validation"]["scores"] == [line["score"] for line in found]
    assert "which chose among" not in out
    assert "trial 0" not in out
    assert not Path("out/search.png").exists()
    Path("space.toml").write_text('strategy = "head"\nlr = 1e-3', encoding="utf-8")
    plan = searching.prepare(
        searching.Options(options(model), read_space(Path("space.toml")), folds=2)
    )
    assert "2-fold cross-validation of one fine-tuning" in announce(plan)[1]


def test_halving_and_processes_score_by_folds_too(capsys, here, model):
    more = ("--space", "space.toml", "--method", "halving", "--trials", "3", "--folds", "2")
    searched(capsys, *words(model, *more, "--epochs", "3", "--jobs", "2"))
    found = lines_of("out/trials.jsonl")
    assert sorted((t["budget"], t["fold"]) for t in found) == [
        *[(1, 0)] * 3, *[(1, 1)] * 3, (3, 0), (3, 1),
    ]  # fmt: skip
    metrics = loaded("out/metrics.json")
    assert metrics["best"]["epochs"] == 3
    last = {t["fold"]: t["score"] for t in found if t["budget"] == 3}
    assert metrics["cross_validation"]["scores"] == [last[0], last[1]]


def test_a_search_of_folds_goes_on_in_the_middle_of_a_trial(capsys, whole, tmp_path):
    """The fifth of its 3 folds each is the last that was saved: the second of trial 1."""
    shutil.copytree("out", tmp_path / "out")
    file = tmp_path / "out" / "trials.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join(lines[:6]) + "\n", encoding="utf-8")
    (tmp_path / "out" / "metrics.json").unlink()
    out = searched(capsys, "search", "--resume", tmp_path / "out")
    assert out.count("\ntrial ") == 3 + 1  # and the head of the table
    assert [(t["number"], t["fold"], t["score"]) for t in lines_of(file)] == [
        (t["number"], t["fold"], t["score"]) for t in lines_of("out/trials.jsonl")
    ]
    again = loaded(tmp_path / "out" / "metrics.json")
    assert same_numbers(again) == same_numbers(loaded("out/metrics.json"))


# ------------------------------------------------------------------------------ what is not seen


def watch_training(monkeypatch):
    """The texts that each fine-tuning trains on and chooses its best epoch on, as they come."""
    seen, train = [], finetuning.train

    def watched(plan):
        rows = np.concatenate([plan.parts.train, plan.parts.validation])
        seen.append(({plan.examples.texts[i] for i in rows}, set(plan.examples.texts)))
        assert len(plan.parts.test) == 0
        return train(plan)

    monkeypatch.setattr(finetuning, "train", watched)
    return seen


def test_no_trial_sees_a_test_row_nor_trains_on_a_row_that_it_scores(here, model, monkeypatch):
    plan = plan_of(model, folds=3)
    texts, parts = plan.base.examples.texts, plan.base.parts
    test = {texts[i] for i in parts.test}
    seen = watch_training(monkeypatch)
    scored = []
    for fold in range(3):
        plan.objective({"lr": 1e-3}, None, 0, fold)
        given = plan.objective.options.data["text"]
        scored.append({given[i] for i in plan.objective.divisions[fold].test})
    assert len(test) == 6
    assert scored[0] | scored[1] | scored[2] == set(texts) - test
    for (trained, given), held in zip(seen, scored):
        assert not held & trained
        assert trained | held == given == set(texts) - test


def test_the_search_inside_of_an_outer_fold_is_not_given_its_rows(here, model, monkeypatch):
    plan = plan_of(model, folds=2, outer_folds=3)
    test = {plan.base.examples.texts[i] for i in plan.base.parts.test}
    judge = plan.outer.judge
    seen = watch_training(monkeypatch)
    for number, search in enumerate(plan.outer.searches):
        given = judge.options.data["text"]
        held = {given[i] for i in judge.divisions[number].test}
        search({"lr": 1e-3}, None, 0, 0)
        judge({"lr": 1e-3}, None, 0, number)
        (inner, shown), (outer, _) = seen[-2:]
        assert not shown & (held | test)
        assert inner < shown
        assert outer == shown  # what was chosen is trained on all rows outside of the fold
        assert len(held) == 18


def test_a_held_row_that_was_learnt_from_is_found(here, model, monkeypatch):
    from minift.jobs.searching import objective

    def leaky(strata, groups, k, share, seed):
        first, *rest = divide_into_folds(strata, groups, k, share, seed)
        return [Parts(np.append(first.train, first.test[0]), first.validation, first.test), *rest]

    monkeypatch.setattr(objective, "divide_into_folds", leaky)
    with pytest.raises(ValueError, match="1 of the 37 rows to train on stand in the sealed test"):
        plan_of(model, folds=3)


# ---------------------------------------------------------------------------------- --outer-folds


def test_nested_numbers_are_those_by_hand(whole, model, tmp_path):
    assert "then the same search in each of 2 outer folds, whose 27 rows judge what it cho" in whole
    nested = loaded("out/metrics.json")["nested"]
    plan = finetuning.prepare(options(model))
    rows = rows_to_learn(plan.parts)
    outer = divide_into_folds(plan.targets[rows], plan.examples.groups[rows], 2, 0.1, seed=0)
    for number, one in enumerate(outer):
        trials = lines_of(f"out/outer_folds/fold-{number + 1}.jsonl")
        means = [np.mean([t["score"] for t in trials if t["number"] == n]) for n in range(4)]
        best = int(np.argmax(means))
        chosen = next(t["settings"] for t in trials if t["number"] == best)
        assert nested["chosen"][number] == chosen
        assert nested["inner_scores"][number] == pytest.approx(means[best])
        parts = Parts(rows[one.train], rows[one.validation], rows[one.test])
        worth = accuracy_by_hand(model, parts, tmp_path / str(number), **chosen)
        assert nested["scores"][number] == worth
        assert f"\nouter fold {number + 1} judges trial {best}: accuracy {worth:.4f}\n" in whole
    assert nested["chosen"][0] != nested["chosen"][1]
    assert nested["mean"] == pytest.approx(sum(nested["scores"]) / 2)
    assert nested["interval"] == pytest.approx(corrected(nested["scores"], 27, 27), rel=1e-4)
    by_hand = sum(nested["inner_scores"]) / 2 - sum(nested["scores"]) / 2
    assert nested["optimism"] == pytest.approx(by_hand)
    assert f"accuracy {nested['mean']:.3f} (95 %: " in whole
    assert "is what this search is worth: the mean of 2 outer folds, which judged what was" in whole
    assert (
        f"\n{sum(nested['inner_scores']) / 2:.3f} was the mean of the scores by which it" in whole
    )


def test_a_killed_nested_search_ends_with_the_same_numbers(capsys, here, finished, model):
    """12 calls are the search's, 12 each outer fold's, and 2 judge; it is killed three times."""
    call, calls, stops = FineTuning.__call__, [], [17]

    def counted(self, *arguments):
        if len(calls) == stops[0]:
            raise KeyboardInterrupt
        calls.append(arguments)
        return call(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FineTuning, "__call__", counted)
        code, _, err = run(capsys, *words(model, *NESTED))
        assert (code, "go on with: minift search --resume out" in err) == (130, True)
        assert len(lines_of("out/outer_folds/fold-1.jsonl")) == 5
        for stops[0] in (30, 37):
            assert run(capsys, "search", "--resume", "out")[0] == 130
        stops[0] = None
        searched(capsys, "search", "--resume", "out")
    assert len(calls) == 38
    uninterrupted = same_numbers(loaded(finished[0] / "out" / "metrics.json"))
    assert same_numbers(loaded("out/metrics.json")) == uninterrupted


def test_of_errors_the_smaller_is_better_and_optimism_is_told_so(capsys, here, model):
    rows = [(f"{'good ' * (i % 5)}film {text}", float(i % 5))
            for i, (text, _) in enumerate(sentences(60))]  # fmt: skip
    write_table("t.csv", *rows)
    Path("space.toml").write_text("lr = [1e-9, 1e-2]", encoding="utf-8")
    more = ("--task", "regression", "--metric", "mean_absolute_error", "--outer-folds", "2")
    out = searched(capsys, *words(model, *GRID, *more))
    nested = loaded("out/metrics.json")["nested"]
    for number in (1, 2):
        trials = lines_of(f"out/outer_folds/fold-{number}.jsonl")
        assert nested["inner_scores"][number - 1] == min(t["score"] for t in trials)
    better = sum(nested["scores"]) / 2 - sum(nested["inner_scores"]) / 2
    if better > 0:
        assert f"{better:.3f} too good: that is the optimism of the choice" in out
    else:
        assert "no better than that: here the choice shows no optimism" in out


# --------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ([], "--space FILE is required (see minift search --help)"),
        (["--folds", "1"], "--folds must be 2 or more, got 1; leave it out for no folds"),
        ([*GRID, "--outer-folds", "1"], "--outer-folds must be 2 or more, got 1; leave it out for"),
        (
            ["--folds", "3", "--val-split", "0.2"],
            "--folds scores trials on each row in turn, so no part of the rows is there to compare "
            "them: leave out --val-split 0.2",
        ),
        (
            ["--folds", "3", "--test-split", "0"],
            "the best of what --folds compares is judged on the test part, so --test-split must be "
            "above 0",
        ),
        (
            ["--folds", "40"],
            "the class 'bad' has 31 different rows outside the test part, too few for --folds 40: "
            "take fewer folds, or label more",
        ),
        (
            [*GRID, "--outer-folds", "30"],
            "the class 'good' has 23 different rows outside the test part, too few for "
            "--outer-folds 30: take fewer folds, or label more",
        ),
        (
            [*GRID, "--folds", "20", "--outer-folds", "3"],
            "the class 'good' has 15 different rows outside the test part and outer fold 1, too "
            "few for --folds 20: take fewer folds, or label more",
        ),
        (
            ["--folds", "3", "--outer-folds", "3"],
            "--outer-folds says what choosing is worth, and no --space leaves nothing to choose; "
            "for one fine-tuning give --folds 3",
        ),
        (
            ["--space", "empty.toml"],
            "empty.toml names no setting; a line of it is lr = [1e-5, 1e-4]",
        ),
    ],
)
def test_mistakes_are_one_sentence(capsys, here, model, more, sentence):
    Path("empty.toml").touch()
    assert mistake(capsys, *words(model, *more)).removeprefix("search: ").startswith(sentence)
    assert not Path("out").exists()


def test_too_few_rows_for_a_fold_to_choose_its_epoch_are_one_sentence(capsys, here, model):
    write_table("t.csv", *((text, "good" if y else "bad") for text, y in sentences(8)))
    more = ("--folds", "2", "--test-split", "0.2")
    assert mistake(capsys, *words(model, *more)) == (
        "search: 6 rows outside the test part are too few for --folds 2: a fold learns from the "
        "others, 10% of which choose its best epoch; label more"
    )


def test_an_outer_fold_whose_choice_fails_is_one_sentence(capsys, here, model, monkeypatch):
    call = FineTuning.__call__

    def fails(self, settings, budget, seed, fold=0):
        if len(self.divisions) == 3 and fold == 1:
            raise RuntimeError("training broke off at step 3: the loss is nan")
        return call(self, settings, budget, seed, fold)

    monkeypatch.setattr(FineTuning, "__call__", fails)
    code, _, err = run(capsys, *words(model, *GRID, "--outer-folds", "3"))
    assert code == 1
    assert (
        "outer fold 2: what was chosen failed: RuntimeError: training broke off at step 3: the lo"
    ) in err
