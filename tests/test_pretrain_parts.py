"""The parts of a pre-training: two players in the loop, corpora and their parts, time."""

import numpy as np
import pytest

import minift as mf
from minift.backend.random import manual_seed
from minift.data import ArrayDataset, DataLoader, WordPieceTokenizer
from minift.jobs.pretraining.probing import draw_sample
from minift.jobs.pretraining.text_work import windows
from minift.jobs.pretraining.texts import cut_end, divided, read_corpus
from minift.jobs.pretraining.timing import Deadline, pace_of
from minift.models import GAN, GANConfig
from minift.objectives import NonSaturating, TwoPlayerStep
from minift.optim import Adam, schedules
from minift.train import Callback, Checkpoint, TrainConfig
from minift.train.game import GameTrainer

IMAGES = np.random.default_rng(0).random((24, 1, 6, 6)).astype(np.float32)


def players(model):
    return [
        Adam(p.parameters(), lr=1e-2, betas=(0.5, 0.9))
        for p in (model.discriminator, model.generator)
    ]


def new_gan():
    manual_seed(3)
    return GAN(GANConfig(image_size=6, hidden_sizes=(8,), code_size=3))


def game(model, steps, *callbacks, **settings):
    settings = {"schedule": schedules.constant, "warmup": 0.0, **settings}
    discriminator, generator = players(model)
    data = DataLoader(ArrayDataset(pixel_values=IMAGES), 8, shuffle=True, seed=0)
    return GameTrainer(
        model, data, game=NonSaturating(), discriminator=discriminator, generator=generator,
        config=TrainConfig(steps=steps, seed=1, device="cpu", **settings), callbacks=callbacks,
    )  # fmt: skip


def test_the_games_trainer_plays_as_turns_by_hand_do():
    model, by_hand = new_gan(), new_gan()
    history = game(model, 6).fit()
    manual_seed(1)
    step = TwoPlayerStep(NonSaturating(), *players(by_hand))
    loader = DataLoader(ArrayDataset(pixel_values=IMAGES), 8, shuffle=True, seed=0)
    losses = [step(by_hand, batch)["discriminator_loss"] for _ in range(2) for batch in loader]
    assert history["loss"] == losses
    for name, weight in by_hand.state_dict().items():
        np.testing.assert_array_equal(model.state_dict()[name], weight, err_msg=name)


def test_a_game_goes_on_from_its_checkpoint_bit_for_bit(tmp_path):
    whole, broken = new_gan(), new_gan()
    game(whole, 7).fit()

    class Stop(Callback):
        def on_between_steps(self, trainer):
            if trainer.step == 4:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        game(broken, 7, Checkpoint(tmp_path, every=1, metric=None), Stop()).fit()
    again = new_gan()
    game(again, 7, Checkpoint(tmp_path, every=1, metric=None), Callback()).resume(tmp_path).fit()
    for name, weight in whole.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[name], weight, err_msg=name)


def test_a_game_takes_one_batch_a_turn():
    with pytest.raises(ValueError, match="a turn takes one batch"):
        game(new_gan(), 3, accumulate=2)


# -------------------------------------------------------------------------------------- texts


def test_of_few_documents_the_end_is_held_out():
    assert cut_end([["a", "b"], ["c", "d", "e"]], 2) == ([["a", "b"], ["c"]], [["d", "e"]])
    assert cut_end([["a", "b"], ["c"]], 2) == ([["a"]], [["b"], ["c"]])


def test_a_held_out_copy_of_a_text_is_dropped():
    documents = [[f"text {i}", "The same"] for i in range(60)]
    corpus = divided("here", documents, [None] * 60, seed=0)
    texts = [text for document in corpus.train for text in document]
    assert "The same" in texts
    assert "The same" not in corpus.held_texts
    assert len(corpus.held_texts) == len(corpus.held) == 3
    assert not set(corpus.held_texts) & set(texts)


def test_the_shipped_texts_have_their_own_held_out_parts():
    prose = read_corpus(["moby-dick"], "text", None, seed=0)
    assert (len(prose.sample), len(prose.held)) == (122, 13)
    assert prose.labelled is None
    glosses = read_corpus(["glosses"], "text", None, seed=0)
    assert not {text for (text,) in glosses.train} & set(glosses.held_texts)
    assert glosses.classes is not None
    assert len(glosses.classes) == 24


def test_long_texts_become_several_rows_and_none_is_without_a_word_to_hide():
    tokenizer = WordPieceTokenizer.train(["a b c d e f g"] * 3, 30)
    found = windows(tokenizer, ["a b c d e", "", "日本", "f"], max_length=4)
    cls, sep = tokenizer.cls_id, tokenizer.sep_id
    of = tokenizer.id_of
    assert found == [
        [cls, of["a"], of["b"], sep], [cls, of["c"], of["d"], sep], [cls, of["e"], sep],
        [cls, of["f"], sep],
    ]  # fmt: skip


# ------------------------------------------------------------------------------ labels and time


def test_a_sample_takes_ten_of_each_frequent_class():
    labels, answers = np.repeat([0, 1, 2], [30, 4, 12]), np.array([0, 1, 2, 2])
    sample = draw_sample(labels, answers, seed=0)
    assert sample is not None
    for draw in sample.draws:
        assert np.bincount(labels[draw]).tolist() == [10, 0, 10]
    assert sample.judged.tolist() == [0, 2, 3]  # class 1 is too rare to judge by
    assert draw_sample(labels[:30], answers, seed=0) is None
    assert draw_sample(None, None, seed=0) is None


def test_features_that_tell_the_class_score_one_and_noise_about_chance():
    labels = np.tile([0, 1], 60)
    sample = draw_sample(labels, labels[:80], seed=0)
    assert sample is not None
    clear = np.eye(2)[labels] + 0.01
    assert sample.score(clear[sample.rows], clear[sample.judged]) == {
        "probe": 1.0, "neighbours": 1.0
    }  # fmt: skip
    noise = np.random.default_rng(0).standard_normal((120, 3))
    scores = sample.score(noise[sample.rows], noise[::-1][sample.judged])
    assert all(0.2 < score < 0.8 for score in scores.values())


def test_the_pace_leaves_out_the_first_steps():
    assert pace_of([0.0, 5.0, 6.0, 6.5, 7.0, 7.5]) == 2.0


def test_a_run_that_is_late_is_shortened(monkeypatch):
    clock = iter([100.0, 130.0, 155.0])
    monkeypatch.setattr("minift.jobs.pretraining.timing.time.perf_counter", lambda: next(clock))
    trainer = mf.Trainer(
        mf.nn.Linear(2, 2), ArrayDataset(x=np.zeros((4, 2))), objective=None,
        config=TrainConfig(steps=100, device="cpu"),
    )  # fmt: skip
    deadline = Deadline(minutes=1)
    deadline.on_fit_start(trainer)
    trainer.step = 40  # in 30 of 60 s
    deadline.on_evaluate(trainer)
    assert trainer.total_steps == 80
    trainer.step = 50  # in 55 s
    deadline.on_evaluate(trainer)
    assert trainer.total_steps == 54
    assert deadline.state_dict() == {"used": 55.0}
