"""Search: what is tried, what is kept, what is never seen."""

import json
import math
import os

import numpy as np
import pytest
import search_cases
from search_cases import Counted, Peeks, by_fold, fails_for_some, nearest_mean, valley

import minift as mf
from minift.search import (
    LeakError,
    Sealed,
    choice,
    cross_validate,
    draws,
    grid,
    grid_search,
    integer,
    log_uniform,
    nested_cross_validate,
    random_search,
    successive_halving,
    uniform,
)
from minift.search.methods import budgets_of
from minift.search.validation import corrected_interval

SPACE = {"lr": log_uniform(1e-5, 1e-1), "layers": integer(1, 5), "kind": choice("a", "b")}

# ------------------------------------------------------------------------------------------ spaces


def test_a_grid_holds_every_combination_with_the_ends():
    found = grid({**SPACE, "fixed": 7}, points=3)
    assert len(found) == 3 * 3 * 2
    assert sorted({one["lr"] for one in found}) == pytest.approx([1e-5, 1e-3, 1e-1])
    assert {one["layers"] for one in found} == {1, 3, 5}
    assert all(one["fixed"] == 7 for one in found)
    assert [one["kind"] for one in found[:4]] == ["a", "b", "a", "b"]


def test_few_whole_numbers_are_tried_once_each():
    assert [one["n"] for one in grid({"n": integer(2, 4)}, points=9)] == [2, 3, 4]


def test_draws_fill_their_ranges_and_depend_on_the_seed_alone():
    found = draws({**SPACE, "u": uniform(-1, 1)}, 2000, seed=3)
    logs = np.log10([one["lr"] for one in found])
    assert (logs.min(), logs.max()) == pytest.approx((-5, -1), abs=0.05)
    assert logs.mean() == pytest.approx(-3, abs=0.1)
    counts = np.bincount([one["layers"] for one in found])
    assert counts[1:].min() > 350
    assert len(counts) == 6
    assert np.mean([one["u"] for one in found]) == pytest.approx(0, abs=0.05)
    assert draws(SPACE, 3, seed=5) == draws(SPACE, 8, seed=5)[:3]
    assert draws(SPACE, 3, seed=5) != draws(SPACE, 3, seed=6)


@pytest.mark.parametrize("seed", range(3))
def test_of_16_draws_one_lies_in_each_sixteenth_of_every_range(seed):
    """Independent draws leave a third of them empty. So it is at 1, 2, 4, 8, ... draws."""
    space = {"lr": log_uniform(1e-4, 1), "u": uniform(-1, 1), "n": integer(1, 8), "k": ["a", "b"]}
    for number in (1, 2, 4, 16, 64):
        found = draws(space, number, seed)
        shares = {
            "lr": [1 + math.log10(one["lr"]) / 4 for one in found],
            "u": [(one["u"] + 1) / 2 for one in found],
        }
        for values in shares.values():
            assert sorted(int(number * share) for share in values) == list(range(number))
    counts = np.unique([one["n"] for one in draws(space, 16, seed)], return_counts=True)
    assert counts[0].tolist() == [*range(1, 9)]
    assert set(counts[1].tolist()) == {2}
    assert sum(one["k"] == "a" for one in draws(space, 16, seed)) == 8


def test_each_draw_is_uniform_and_none_tells_of_another_setting():
    space = {"x": uniform(0, 1), "y": uniform(0, 1)}
    found = [[(one["x"], one["y"]) for one in draws(space, 6, seed)] for seed in range(2000)]
    drawn = np.array(found)  # (seeds, draws, settings)
    deciles = [np.histogram(column, 10, (0, 1))[0] for column in drawn.reshape(2000, -1).T]
    assert np.min(deciles) > 150  # of 200; the standard deviation is 13
    assert np.max(deciles) < 250
    for draw in range(6):
        assert abs(np.corrcoef(drawn[:, draw].T)[0, 1]) < 0.08  # 3.5 standard errors


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: log_uniform(0, 1), "log_uniform: needs two finite numbers above 0, the lower fir"),
        (lambda: uniform(2, 1), "uniform: needs two finite numbers, the lower first, got 2 and 1"),
        (lambda: uniform(0, math.inf), "two finite numbers"),
        (lambda: integer(1, 2.5), "integer: ends must be whole, got 1 and 2.5"),
        (lambda: choice(), "choice: give at least one value"),
        (lambda: grid({}), r"a search space is a dict from names to ranges, got \{\}"),
        (lambda: grid(SPACE, points=1), "grid: needs 2 points or more of each range, got 1"),
        (lambda: draws(SPACE, 0), "the number of trials must be 1 or more, got 0"),
        (
            lambda: random_search(valley, SPACE, trials=2, jobs=0),
            "jobs must be 1 or more processes",
        ),
        (
            lambda: successive_halving(valley, SPACE, trials=2, smallest=4, largest=2),
            "needs 1 <= smallest <= largest, .* got smallest=4, largest=2",
        ),
        (
            lambda: random_search(lambda s, b, seed: 0, SPACE, trials=2, jobs=2),
            "the objective cannot be sent to other processes .*; define it in a module, or give jo",
        ),
    ],
)
def test_what_makes_no_search_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ----------------------------------------------------------------------------------------- methods


def test_grid_and_random_find_the_valley():
    found = grid_search(valley, SPACE, points=5)
    assert found.best.settings["lr"] == pytest.approx(1e-3)
    assert found.best.settings["layers"] == 3
    drawn = random_search(valley, SPACE, trials=60, seed=1)
    assert drawn.best.score == max(trial.score for trial in drawn.trials)
    assert drawn.best.score > -0.5
    worst = random_search(valley, SPACE, trials=60, seed=1, higher_is_better=False)
    assert worst.best.score == min(trial.score for trial in drawn.trials)


def test_halving_gives_the_best_third_three_times_the_budget():
    found = successive_halving(valley, SPACE, trials=27, smallest=1, largest=9)
    counts = {b: sum(trial.budget == b for trial in found.trials) for b in (1, 3, 9)}
    assert counts == {1: 27, 3: 9, 9: 3}
    assert found.best.budget == 9
    first = [trial for trial in found.trials if trial.budget == 1]
    kept = {trial.number for trial in found.trials if trial.budget == 3}
    scores = sorted((trial.score for trial in first), reverse=True)
    assert {trial.number for trial in first if trial.score >= scores[8]} == kept
    assert found.best.score == max(trial.score for trial in found.trials if trial.budget == 9)


@pytest.mark.parametrize(
    ("ends", "budgets"), [((1, 9), [1, 3, 9]), ((1, 10), [1, 3, 9, 10]), ((4, 4), [4])]
)
def test_budgets_end_exactly_at_the_largest(ends, budgets):
    assert budgets_of(*ends, 3) == budgets


def test_failures_of_settings_are_recorded_and_never_best():
    found = grid_search(fails_for_some, {"x": choice(1, 2, 3, 0)})
    assert [trial.score for trial in found.trials] == [None, None, 3, 0]
    assert found.trials[0].error == "FloatingPointError: step 3: the loss is nan"
    assert found.trials[1].error == "the score is nan"
    assert found.best.settings == {"x": 3}
    assert found.table().endswith("2 of 4 trials failed")
    with pytest.raises(RuntimeError, match="the only trial failed; the first: FloatingPointErr"):
        _ = grid_search(fails_for_some, {"x": 1}).best


def test_a_mistake_in_the_objective_is_no_failure_of_settings():
    with pytest.raises(KeyError):
        grid_search(valley, {"rate": choice(1, 2)})


def test_the_table_names_the_best_first():
    lines = grid_search(valley, SPACE, points=3).table(most=2).splitlines()
    assert lines[0].split() == ["trial", "score", "lr", "layers", "kind", "seconds"]
    assert lines[1].split()[2:5] == ["0.001", "3", "a"]
    assert len(lines) == 3
    halved = successive_halving(valley, SPACE, trials=9, smallest=1, largest=3).table()
    assert halved.splitlines()[0].split()[2] == "budget"
    assert [line.split()[2] for line in halved.splitlines()[1:5]] == ["3", "3", "3", "1"]


# ----------------------------------------------------------------------- processes and the disk


def test_processes_give_what_one_process_gives(tmp_path):
    folder = tmp_path / "calls"
    folder.mkdir()
    space = {"x": uniform(0, 1)}
    alone = random_search(Counted(folder), space, trials=6, seed=2)
    for call in folder.iterdir():
        call.unlink()
    together = random_search(Counted(folder), space, trials=6, seed=2, jobs=2)
    assert [t.score for t in together.trials] == [t.score for t in alone.trials]
    pids = {call.name.split("-")[1] for call in folder.iterdir()}
    assert str(os.getpid()) not in pids


def test_a_search_that_was_killed_goes_on_with_what_is_missing(tmp_path):
    folder, file, space = tmp_path / "calls", tmp_path / "trials.jsonl", {"x": uniform(0, 1)}
    folder.mkdir()
    with pytest.raises(KeyboardInterrupt):
        random_search(Counted(folder, stop_at=4), space, trials=7, file=file)
    assert len(file.read_text().splitlines()) == 1 + 4
    found = random_search(Counted(folder), space, trials=7, file=file)
    assert len(list(folder.iterdir())) == 7
    whole = random_search(Counted(folder), space, trials=7)
    assert [t.score for t in found.trials] == [t.score for t in whole.trials]
    random_search(Counted(folder), space, trials=9, file=file)
    assert len(list(folder.iterdir())) == 7 + 7 + 2
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert lines[0]["search"]["method"] == "random"
    assert lines[1]["settings"] == whole.trials[0].settings


def test_halving_goes_on_in_the_middle_of_its_rungs(tmp_path):
    file, told = tmp_path / "t.jsonl", []
    whole = successive_halving(valley, SPACE, trials=9, smallest=1, largest=9, file=file)
    lines = file.read_text().splitlines()
    file.write_text("\n".join(lines[:12]) + "\n")
    again = successive_halving(
        valley, SPACE, trials=9, smallest=1, largest=9, file=file, watch=told.append
    )
    assert [(t.number, t.budget, t.score) for t in again.trials] == [
        (t.number, t.budget, t.score) for t in whole.trials
    ]
    assert len(told) == len(lines) - 12


@pytest.mark.parametrize("change", [{"seed": 1}, {"budget": 4}, {"space": {"x": uniform(0, 2)}}])
def test_the_file_of_another_search_is_refused(tmp_path, change):
    file = tmp_path / "trials.jsonl"
    given = {"space": {"x": choice(3, 4)}, "seed": 0, "budget": None}
    random_search(fails_for_some, given["space"], trials=2, file=file)
    before = file.read_bytes()
    space, *_ = ({**given, **change}[name] for name in ("space",))
    more = {name: value for name, value in change.items() if name != "space"}
    with pytest.raises(ValueError, match=r"trials.jsonl holds the trials of another search; name"):
        random_search(fails_for_some, space, trials=2, file=file, **more)
    assert file.read_bytes() == before


def test_a_process_that_dies_is_a_sentence():
    with pytest.raises(RuntimeError, match="a process of the search died: it ran out of"):
        grid_search(search_cases.dies, {"x": choice(1, 2)}, jobs=2)


# ------------------------------------------------------------------------------- trials of folds


def test_the_score_of_a_trial_of_folds_is_their_mean(tmp_path):
    file, told = tmp_path / "t.jsonl", []
    space = {"x": choice(0, 2)}
    found = grid_search(by_fold, space, folds=3, file=file, watch=told.append)
    assert [t.scores for t in found.trials] == [[1, 10, 100], [3, 12, 102]]
    assert [t.score for t in found.trials] == [37, 39]
    assert [(t.number, t.fold, t.score) for t in told[:4]] == [
        (0, 0, 1), (0, 1, 10), (0, 2, 100), (0, None, 37),
    ]  # fmt: skip
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["fold"] for line in lines[1:]] == [0, 1, 2, 0, 1, 2]
    assert all("scores" not in line for line in lines[1:])
    file.write_text("\n".join(file.read_text().splitlines()[:5]) + "\n")
    told.clear()
    again = grid_search(by_fold, space, folds=3, file=file, watch=told.append, jobs=2)
    assert [(t.settings, t.scores) for t in again.trials] == [
        (t.settings, t.scores) for t in found.trials
    ]
    assert sorted((t.number, t.fold) for t in told[:2]) == [(1, 1), (1, 2)]
    assert [(t.number, t.fold, t.score) for t in told[2:]] == [(1, None, 39)]
    with pytest.raises(ValueError, match="holds the trials of another search"):
        grid_search(by_fold, space, folds=2, file=file)
    with pytest.raises(ValueError, match="folds must be 2 or more, or 0 for one score a trial: 1"):
        grid_search(by_fold, space, folds=1)


def test_a_trial_whose_fold_fails_has_failed():
    found = grid_search(by_fold, {"x": choice(1, 0)}, folds=2)
    assert found.trials[0].score is None
    assert found.trials[0].error == "fold 2 of 2: FloatingPointError: step 3: the loss is nan"
    assert found.best.settings == {"x": 0}


def test_halving_keeps_by_the_mean_of_the_folds():
    found = successive_halving(
        by_fold, {"x": choice(0, 2, 3)}, trials=6, smallest=1, largest=2, factor=2, folds=2
    )
    drawn = [trial.settings["x"] for trial in found.trials[:6]]
    assert sorted(trial.settings["x"] for trial in found.trials[6:]) == sorted(drawn)[3:]
    assert found.best.scores == [max(drawn) + 2, max(drawn) + 20]


# ------------------------------------------------------------------------- the test part is sealed


def test_a_sealed_test_part_opens_only_outside_of_a_search():
    test = Sealed(np.arange(4.0), np.array([0, 1, 1, 0]))
    assert test.open()[1].tolist() == [0, 1, 1, 0]
    assert repr(test) == "Sealed(4 rows)"
    with pytest.raises(LeakError, match=r"the test part \(4 rows\) was opened inside a search"):
        random_search(Peeks(test), {"x": uniform(0, 1)}, trials=2)
    assert test.open()[0].tolist() == [0, 1, 2, 3]


def test_it_stays_shut_in_the_processes_of_a_search():
    test = Sealed(np.arange(4.0), np.array([0, 1, 1, 0]))
    with pytest.raises(LeakError, match="must not see it"):
        random_search(Peeks(test), {"x": uniform(0, 1)}, trials=2, jobs=2)


def test_cross_validation_does_not_open_it_either():
    test = Sealed(np.zeros((3, 2)), np.zeros(3))

    def score(train, held, settings, seed):
        return float(np.mean(test.open()[1]))

    with pytest.raises(LeakError):
        cross_validate(score, np.ones((10, 2)), np.ones(10))
    with pytest.raises(TypeError, match="a sealed test part has no say"):
        cross_validate(score, test)


def test_rows_that_are_test_rows_too_are_found_by_their_fingerprints():
    x, y = two_clouds(30)
    test = Sealed(np.concatenate([x[[4, 9]].astype(np.float32), x[:2] + 1]), np.zeros(4))
    exact = x.astype(np.float32)
    with pytest.raises(ValueError, match=r"2 of the 30 rows to train on .* too \(rows 4, 9\)"):
        cross_validate(nearest_mean, exact, y, test=test)
    clean = np.delete(np.arange(30), [4, 9])
    assert len(cross_validate(nearest_mean, exact[clean], y[clean], test=test).scores) == 5
    texts = Sealed(["a film", "a plot"])
    texts.check_apart(["a Film", "plot"])
    with pytest.raises(ValueError, match=r"1 of the 1 rows"):
        texts.check_apart(["a plot"])
    with pytest.raises(ValueError, match=r"sequences of one length, got \[1, 2\]"):
        Sealed([1], [1, 2])


# --------------------------------------------------------------------------------- cross-validation


def two_clouds(n, seed=0, distance=1.0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return rng.normal(size=(n, 6)) + distance * y[:, None], y


def test_every_row_is_scored_once_by_a_model_that_did_not_see_it():
    seen = []

    def score(train, held, settings, seed):
        assert not set(train[0]) & set(held[0])
        assert len(train[0]) + len(held[0]) == 23
        seen.extend(held[0])
        return float(len(held[0]))

    found = cross_validate(score, list(range(23)), k=4)
    assert sorted(seen) == list(range(23))
    assert found.mean == pytest.approx(23 / 4)


def test_the_scores_are_those_of_scikit_learn():
    selection = pytest.importorskip("sklearn.model_selection")
    neighbors = pytest.importorskip("sklearn.neighbors")
    x, y = two_clouds(60)
    found = cross_validate(nearest_mean, x, y, k=5, stratify=y, seed=3)
    parts = list(mf.data.k_folds(60, 5, 3, stratify=y))
    theirs = selection.cross_val_score(neighbors.NearestCentroid(), x, y, cv=parts)
    assert found.scores == pytest.approx(theirs.tolist())


def test_folds_may_be_stratified_and_grouped_and_run_in_processes():
    x, y = two_clouds(40)
    group = np.repeat(np.arange(8), 5)

    def score(train, held, settings, seed):
        assert not set(train[1]) & set(held[1])
        return 0.0

    cross_validate(score, x, group, k=4, group=group)
    alone = cross_validate(nearest_mean, x, y, k=4, stratify=y)
    assert cross_validate(nearest_mean, x, y, k=4, stratify=y, jobs=2) == alone


def test_the_interval_is_nadeau_and_bengios():
    x, y = two_clouds(60)
    found = cross_validate(nearest_mean, x, y, k=5)
    deviation = np.std(found.scores, ddof=1) * math.sqrt(1 / 5 + 12 / 48)
    half = 2.7764 * deviation
    assert found.interval == pytest.approx((found.mean - half, found.mean + half), rel=1e-4)
    assert corrected_interval(found.scores, [(48, 12)] * 5) == found.interval
    assert corrected_interval([0.5] * 5, [(48, 12)] * 5) == (0.5, 0.5)


def test_on_noise_the_best_of_many_is_optimistic_and_the_nested_score_is_not():
    """300 candidates that look at other columns of pure noise: chance is 0.5."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 30)), np.arange(40) % 2
    candidates = [{"columns": rng.choice(30, 3).tolist()} for _ in range(100)]
    flat = max(cross_validate(nearest_mean, x, y, settings=one).mean for one in candidates)
    nested = nested_cross_validate(nearest_mean, x, y, candidates=candidates, stratify=y)
    assert flat > 0.62
    assert nested.mean < 0.6
    assert nested.optimism > 0.08
    assert len(nested.chosen) == len(nested.scores) == 5


def test_nested_folds_choose_the_better_candidate_and_run_in_processes():
    x, y = two_clouds(120)
    candidates = [{"columns": [0]}, {"columns": [0, 1, 2, 3, 4, 5]}]
    found = nested_cross_validate(nearest_mean, x, y, candidates=candidates, jobs=2)
    assert found == nested_cross_validate(nearest_mean, x, y, candidates=candidates)
    assert all(one == candidates[1] for one in found.chosen)
    with pytest.raises(ValueError, match="needs at least one candidate"):
        nested_cross_validate(nearest_mean, x, y, candidates=[])
    with pytest.raises(ValueError, match=r"sequences of one length, got lengths \[120, 2\]"):
        cross_validate(nearest_mean, x, y[:2])
