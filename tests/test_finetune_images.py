"""`minift finetune` on images: remedies, proof and forgetting, as on texts."""

import json

import numpy as np
import pytest
from finetune_cases import mistake, run
from pretrain_cases import squares

import minift as mf
from minift.jobs import image_finetuning
from minift.jobs.image_finetuning import forgetting
from minift.models import (
    GAN,
    VAE,
    Autoencoder,
    AutoencoderConfig,
    GANConfig,
    ImageClassifier,
    SimCLR,
    SimCLRConfig,
    VAEConfig,
)
from minift.train.records import read_records

SIZES = {"image_size": 6, "hidden_sizes": (24, 12), "code_size": 4}
SOURCES = {
    "autoencoder": (Autoencoder, AutoencoderConfig, "drawing images again"),
    "vae": (VAE, VAEConfig, "drawing images again from distributions"),
    "simclr": (SimCLR, SimCLRConfig, "telling views of one image from others"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pre-trained models of each kind, and images of which one of five stands right."""
    folder = tmp_path_factory.mktemp("images")
    mf.manual_seed(0)
    for name, (model, config, _) in {**SOURCES, "gan": (GAN, GANConfig, "")}.items():
        model(config(**SIZES)).save_pretrained(folder / name)
    images, labels = squares(200)
    kept = np.concatenate([np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)[:25]])
    np.savez(folder / "uneven.npz", images=images[kept], labels=labels[kept])
    return folder


def words(folder, output, *more, model="autoencoder"):
    """Three epochs, unless `more` says otherwise."""
    return ["finetune", "--model", folder / model, "--data", folder / "uneven.npz", "--output",
            output, "--epochs", "3", "--lr", "3e-3", "--device", "cpu", *more]  # fmt: skip


def finetuned(capsys, *arguments, **named):
    """(what was said, metrics.json) of a successful run."""
    code, out, err = run(capsys, *words(*arguments, **named))
    assert (code, err) == (0, "")
    return out, json.loads((arguments[1] / "metrics.json").read_text(encoding="utf-8"))


def steps_of(output):
    return [record for record in read_records(output / "train.jsonl") if "loss" in record]


def weights(place):
    return mf.load(place).state_dict()


# ------------------------------------------------------------------------------- uneven classes


@pytest.mark.parametrize(
    "options",
    [["--loss", "focal"], ["--oversample"], ["--move-threshold"], ["--class-weight", "balanced"]],
)
def test_the_remedies_are_named_and_the_rare_class_has_its_curve(capsys, tmp_path, folder, options):
    out, metrics = finetuned(capsys, folder, tmp_path / "out", *options)
    assert "against uneven classes: " in out
    assert metrics["test"]["rarest"] == "1"
    assert (tmp_path / "out" / "precision_recall.png").exists()
    assert (tmp_path / "out" / "reliability.png").exists()


def test_the_focal_loss_counts_an_undecided_image_a_quarter(capsys, tmp_path, folder):
    """A new head says 1/2 of everything: (1 - 1/2)² = 1/4 of the cross-entropy."""
    first = {}
    for name, options in (("plain", []), ("focal", ["--loss", "focal"])):
        finetuned(capsys, folder, tmp_path / name, *options)
        first[name] = steps_of(tmp_path / name)[0]["loss"]
    assert first["plain"] == pytest.approx(np.log(2), rel=0.05)
    assert first["focal"] / first["plain"] == pytest.approx(0.25, rel=0.1)


def test_oversampled_epochs_have_as_many_images_of_each_class(capsys, tmp_path, folder):
    finetuned(capsys, folder, tmp_path / "out", "--oversample", "--epochs", "1")
    shown = sum(step["count"] for step in steps_of(tmp_path / "out"))
    assert shown == 2 * 80  # of 100 and 25 images four fifths train


def test_a_moved_threshold_is_a_part_of_the_model(capsys, tmp_path, folder):
    scores = []
    for name, options in (("plain", []), ("moved", ["--move-threshold"])):
        out, metrics = finetuned(capsys, folder, tmp_path / name, *options)
        images = squares(40, seed=5)[0][:, None]
        scores.append(ImageClassifier.from_pretrained(tmp_path / name)(images).numpy())
    offsets = metrics["moved_thresholds"]
    assert offsets["1"] != 0
    assert f"Thresholds moved by adding to the scores: 0 +0.00, 1 {offsets['1']:+.2f}" in out
    moved = np.tile([offsets["0"], offsets["1"]], (40, 1))
    np.testing.assert_allclose(scores[1] - scores[0], moved, atol=2e-4)


# --------------------------------------------------------------------------- what moves, and how


def test_accumulated_batches_make_the_step_of_the_large_one(capsys, tmp_path, folder):
    """Classes weigh differently, so that a mean of the batches' means would be another number."""
    ends = {}
    for size, batches in ((32, 1), (8, 4)):
        sizes = ("--batch-size", str(size), "--accumulate", str(batches))
        output = tmp_path / str(size)
        out, _ = finetuned(capsys, folder, output, *sizes, "--class-weight", "balanced")
        assert ("4 batches a step" in out) == (batches == 4)
        ends[size] = weights(output), len(steps_of(output))
    assert ends[8][1] == ends[32][1]
    for name, weight in ends[32][0].items():
        np.testing.assert_allclose(ends[8][0][name], weight, atol=2e-6)


def test_what_is_frozen_is_proved(capsys, tmp_path, folder):
    out, metrics = finetuned(capsys, folder, tmp_path / "head", "--strategy", "head")
    before, after = weights(folder / "autoencoder"), weights(tmp_path / "head")
    body = [name for name in after if name.startswith("encoder.")]
    assert metrics["frozen"]["tensors"] == len(body) == 4
    assert metrics["frozen"]["values"] == sum(after[name].size for name in body)
    assert metrics["frozen"]["steps"] == len(steps_of(tmp_path / "head"))
    assert f"Frozen: {metrics['frozen']['values']:,} of " in out
    for name in body:
        np.testing.assert_array_equal(after[name], before[name])
    out, metrics = finetuned(capsys, folder, tmp_path / "full")
    assert metrics["frozen"]["tensors"] == 0
    assert "Frozen:" not in out


def test_l2_sp_keeps_the_encoder_near_its_start(capsys, tmp_path, folder):
    start, distance = weights(folder / "autoencoder"), {}
    for name, options in (("free", []), ("pulled", ["--l2-sp", "1"])):
        finetuned(capsys, folder, tmp_path / name, *options)
        end = weights(tmp_path / name)
        body = [n for n in end if n.startswith("encoder.")]
        distance[name] = sum(((end[n] - start[n]) ** 2).sum() for n in body)
    assert distance["pulled"] < 0.7 * distance["free"]
    assert "l2_sp" in steps_of(tmp_path / "pulled")[0]


def test_gradual_unfreezing_may_wait_for_a_stall(capsys, tmp_path, folder):
    """At this rate no epoch is better than the first: every later one thaws a layer."""
    options = (
        "--strategy",
        "gradual",
        "--unfreeze",
        "stall",
        "--lr",
        "1e-12",
        "--head-lr",
        "1e-12",
    )
    _, metrics = finetuned(capsys, folder, tmp_path / "out", *options, "--epochs", "2")
    assert metrics["frozen"]["tensors"] == 2
    _, metrics = finetuned(capsys, folder, tmp_path / "long", *options, "--epochs", "4")
    assert metrics["frozen"]["tensors"] == 0


# -------------------------------------------------------------------------------------- forgetting


@pytest.mark.parametrize("source", SOURCES)
def test_every_report_has_the_source_loss_before_and_after(capsys, tmp_path, folder, source):
    change = {}
    for strategy in ("full", "head"):
        output = tmp_path / strategy
        out, metrics = finetuned(capsys, folder, output, "--strategy", strategy, model=source)
        found = metrics["forgetting"]
        assert (found["objective"], found["images"]) == (SOURCES[source][2], 12)
        assert f"{found['before']:.4f} before, {found['after']:.4f} after" in out
        change[strategy] = found["after"] - found["before"]
    assert change["head"] == 0
    assert change["full"] != 0


def test_the_source_loss_is_that_of_the_old_decoder_on_the_tuned_encoder(tmp_path, folder):
    data = str(folder / "uneven.npz")
    plan = image_finetuning.prepare(
        image_finetuning.Options(
            model=folder / "autoencoder", data=data, output=tmp_path / "out", lr=0.3, epochs=2,
            device="cpu",
        )
    )  # fmt: skip
    found = image_finetuning.run(plan)["forgetting"]
    source, tuned = mf.load(folder / "autoencoder"), weights(tmp_path / "out")
    images = plan.images.images[plan.parts.test]
    for name, state in (("before", {}), ("after", tuned)):
        source.load_state_dict({n: state.get(n, w) for n, w in source.state_dict().items()})
        assert found[name] == pytest.approx(((source(images).numpy() - images) ** 2).mean())
    assert found["after"] > 1.05 * found["before"]


@pytest.mark.parametrize("source", SOURCES)
def test_the_source_loss_on_a_device_is_that_on_the_cpu(tmp_path, folder, device, source):
    data = str(folder / "uneven.npz")
    plan = image_finetuning.prepare(
        image_finetuning.Options(
            model=folder / source, data=data, output=tmp_path / "out", epochs=1, device=device,
            focal=True, oversample=True, move_threshold=True, l2_sp=0.1,
        )
    )  # fmt: skip
    found = image_finetuning.run(plan)["forgetting"]
    objective = forgetting.SOURCES[SOURCES[source][0].__name__][1](6)
    images = plan.images.images[plan.parts.test]
    on_cpu = forgetting.source_loss(mf.load(folder / source), objective, images)
    assert found["before"] == pytest.approx(on_cpu, rel=1e-4)


def test_the_source_loss_does_not_depend_on_what_was_drawn_before(folder):
    source, images = mf.load(folder / "simclr"), squares(20)[0][:, None]
    losses = set()
    for seed in (1, 2):
        mf.manual_seed(seed)
        losses.add(forgetting.source_loss(source, forgetting.contrastive(6), images))
    assert len(losses) == 1


def test_a_report_says_why_there_is_no_source_loss(capsys, tmp_path, folder):
    def why(output, *more, **named):
        out, metrics = finetuned(capsys, folder, tmp_path / output, *more, **named)
        found = metrics["forgetting"]
        assert f"Forgetting: not measured, {found['unknown']}" in out
        return found["unknown"]

    game = "a GAN has no loss of its own, only a game of two players"
    assert why("gan", model="gan") == game
    none = "the folder holds no head for its pre-training objective"
    assert why("again", model=tmp_path / "gan") == none
    nothing = ("--val-split", "0", "--test-split", "0")
    assert why("all", *nothing) == "there are no two held-out images"


# ----------------------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--oversample --class-weight balanced",
         "--oversample and --class-weight balanced do the same twice over; give one of them"),
        ("--move-threshold --val-split 0",
         "--move-threshold is chosen on the validation part, which --val-split 0 leaves out"),
        ("--strategy head --l2-sp 0.1",
         "--l2-sp pulls the body back, which --strategy head never moves; leave it out"),
        ("--unfreeze stall", "--unfreeze says when --strategy gradual thaws a layer, --strategy "
         "full never does; leave it out"),
    ],
)  # fmt: skip
def test_words_that_do_not_fit_are_refused(capsys, tmp_path, folder, options, sentence):
    said = mistake(capsys, *words(folder, tmp_path / "out", *options.split()))
    assert said == f"finetune: {sentence}"
    assert not (tmp_path / "out").exists()


def test_a_step_of_no_batch_is_refused(tmp_path, folder):
    options = image_finetuning.Options(
        model=folder / "vae", data=str(folder / "uneven.npz"), output=tmp_path / "out", accumulate=0
    )
    with pytest.raises(ValueError, match="accumulate must be 1 batch a step or more, got 0"):
        image_finetuning.prepare(options)
