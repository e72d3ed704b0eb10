"""Results of `benchmarks/pretraining_quality`: kept seed by seed, never measured twice."""

import json

import pytest

from benchmarks.pretraining_quality.rows import Measurement, Results, written


class Counted:
    """A measurement that remembers its seeds and breaks at one of them."""

    def __init__(self, breaks_at=None):
        self.seeds, self.breaks_at, self.asked = [], breaks_at, 0

    def run(self, seed, pictures):
        if seed == self.breaks_at:
            raise KeyboardInterrupt
        self.seeds.append(seed)
        return {"accuracy": 0.5 + seed / 10}

    def baselines(self):
        self.asked += 1
        return {"chance": 0.1}

    @property
    def measurement(self):
        return Measurement("above chance", self.run, self.baselines)


def test_a_killed_run_goes_on_with_the_seed_that_is_missing(tmp_path):
    file = tmp_path / "results.json"
    first, second = Counted(breaks_at=2), Counted()
    with pytest.raises(KeyboardInterrupt):
        Results(file).measure("digits", first.measurement, range(3), None)
    Results(file).measure("digits", second.measurement, range(3), None)
    assert (first.seeds, second.seeds) == ([0, 1], [2])
    assert (first.asked, second.asked) == (1, 0)


def test_what_is_forgotten_is_measured_again(tmp_path):
    results, counted = Results(tmp_path / "results.json"), Counted()
    for _ in range(2):
        results.measure("digits", counted.measurement, range(1), None)
        results.forget("digits")
    assert counted.seeds == [0, 0]


def test_the_table_has_goal_interval_and_baselines(tmp_path):
    results = Results(tmp_path / "results.json")
    results.measure("digits", Counted().measurement, range(3), None)
    head, row, baseline = results.table("digits").splitlines()
    assert head.startswith("digits: 0 s a seed (seeds 0, 1, 2); goal: above chance")
    # .5 .6 .7: standard error .1 / √3, t(2) = 4.3027
    assert row.split() == ["accuracy", "0.6000", "[0.3516,", "0.8484]"]
    assert baseline.split() == ["chance", "0.1000"]
    saved = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert saved["digits"]["seeds"]["2"]["values"] == {"accuracy": 0.7}


def test_one_seed_has_no_interval():
    assert written([0.25]) == "0.2500"
