"""NT-Xent beside a plain loop, at its limits, against the articles' versions; cached gradients."""

import math

import numpy as np
import pytest

from minift import gradcheck, nn, ops
from minift.backend.random import manual_seed
from minift.data import Augmentation
from minift.models import SimCLR, SimCLRConfig
from minift.objectives import Contrastive, nt_xent
from minift.objectives.cached import cached_loss
from minift.objectives.contrastive import alignment, uniformity, unit_rows
from minift.tensor import Tensor

RNG = np.random.default_rng(0)
START = RNG.bit_generator.state
SMALL = SimCLRConfig(image_size=4, hidden_sizes=(6,), code_size=5, projection_size=3)


@pytest.fixture(autouse=True)
def same_draws():
    """Each test draws the same numbers, whichever others run."""
    manual_seed(0)
    RNG.bit_generator.state = START


def rows(count=5, width=4):
    return RNG.standard_normal((count, width))


def cosine(a, b):
    return float(a @ b / math.sqrt((a @ a) * (b @ b)))


def nt_xent_by_loop(first, second, temperature, originals=None):
    """Equation 1 of SimCLR, one exponential at a time."""
    z, N = [*first, *second], len(first)
    numbers = list(range(N)) if originals is None else list(originals)
    numbers = numbers + numbers
    total = 0.0
    for i in range(2 * N):
        twin = (i + N) % (2 * N)
        exponentials = {
            k: math.exp(cosine(z[i], z[k]) / temperature)
            for k in range(2 * N)
            if k == twin or numbers[k] != numbers[i]
        }
        total -= math.log(exponentials[twin] / sum(exponentials.values()))
    return total / (2 * N)


def loss(first, second, *settings):
    return nt_xent(Tensor(first), Tensor(second), *settings).item()


@pytest.mark.parametrize("temperature", [0.05, 0.5, 3.0])
@pytest.mark.parametrize("originals", [None, [0, 1, 0, 2, 1], [4, 4, 4, 4, 4]])
def test_nt_xent_is_the_plain_loop(temperature, originals, device):
    first, second = rows(), rows()
    found = nt_xent(
        Tensor(first, device=device), Tensor(second, device=device), temperature, originals
    )
    expected = nt_xent_by_loop(first, second, temperature, originals)
    assert found.item() == pytest.approx(expected, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("originals", [None, [0, 1, 0, 2, 1]])
def test_the_gradient_agrees_with_finite_differences(originals):
    inputs = [Tensor(rows(), requires_grad=True) for _ in range(2)]
    assert gradcheck(lambda a, b: nt_xent(a, b, 0.3, originals), inputs, order=2)


def test_equal_vectors_pay_the_uniform_loss():
    """Every other view is as similar as the twin: log(2N − 1)."""
    same = np.tile(rows(1), (6, 1))
    assert loss(same, same, 0.1) == pytest.approx(math.log(11))


def test_copies_of_one_image_are_no_negatives_and_leave_nothing_to_learn():
    same = np.tile(rows(1), (6, 1))
    a = Tensor(same, requires_grad=True)
    value = nt_xent(a, Tensor(same), 0.1, np.zeros(6, int))
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-12)
    assert np.abs(a.grad.numpy()).max() < 1e-12


def test_a_duplicate_changes_the_loss_unless_it_is_known():
    first, second = rows(), rows()
    first[1], second[1] = first[0], second[0]
    unaware, aware = loss(first, second, 0.1), loss(first, second, 0.1, [0, 0, 2, 3, 4])
    assert aware < unaware


def test_perfect_twins_pay_nothing_but_with_self_similarity_log_2():
    """E48: with k = i in the denominator the loss of perfect twins stays at log 2."""
    z = RNG.standard_normal((32, 512))
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    right = loss(z, z, 0.05)
    scores = np.vstack([z, z]) @ np.vstack([z, z]).T / 0.05
    twins = (np.arange(64) + 32) % 64
    article = -np.mean(scores[np.arange(64), twins] - np.log(np.exp(scores).sum(1)))
    assert right < 0.001
    assert article == pytest.approx(math.log(2), abs=0.001)


def test_the_length_of_a_vector_does_not_matter():
    """E49: without cosines a temperature has no meaning: longer vectors would be a lower one."""
    first, second = rows(), rows()
    lengths = RNG.uniform(0.1, 10, (5, 1))
    assert loss(first * lengths, second, 0.2) == pytest.approx(loss(first, second, 0.2), rel=1e-9)


def test_the_loss_knows_which_rows_belong_together():
    """E64: a squared norm of the batch does not change when the twins are mixed up; this does."""
    first = rows(8, 16)
    second = first + 0.1 * rows(8, 16)
    assert loss(first, second, 0.1) < 0.1 * loss(first, np.roll(second, 1, axis=0), 0.1)


def test_the_gradient_is_not_zero():
    """E67: logits / Σ logits, averaged, is 1/n whatever the logits are: nothing is ever learned."""
    first, second = (Tensor(rows(), requires_grad=True) for _ in range(2))
    logits = first @ second.T
    article = (logits / logits.sum(axis=1, keepdims=True)).mean()
    article.backward()
    assert article.item() == pytest.approx(1 / 5)
    assert np.abs(first.grad.numpy()).max() < 1e-8
    first.grad = None
    nt_xent(first, second, 0.5).backward()
    assert np.abs(first.grad.numpy()).max() > 1e-2


def test_twins_that_agree_more_cost_less_and_negatives_that_agree_more_cost_more():
    """E66, E95: the diagonal is left out, not the twin; both halves of the loss pull."""
    first, second = rows(), rows()
    closer = second + 0.5 * (first - second)
    assert loss(first, closer, 0.5) < loss(first, second, 0.5)
    crowded = np.concatenate([first[:1], first[:1] + 0.1 * rows(4)])  # the first is a near copy
    assert loss(crowded, crowded, 0.5) > loss(first, first, 0.5)
    a, b = (Tensor(x, requires_grad=True) for x in (first, second))
    nt_xent(a, b, 0.5).backward()
    step = 0.05
    nearer = [a.numpy() - step * a.grad.numpy(), b.numpy() - step * b.grad.numpy()]
    assert loss(*nearer, 0.5) < loss(first, second, 0.5)


def test_strangers_as_twins_teach_nothing():
    """E69: without pairs the loss is that of guessing among the 2N − 1 others, whoever guesses."""
    first, second = (RNG.standard_normal((64, 4096)) for _ in range(2))
    assert loss(first, second, 1.0) == pytest.approx(math.log(127), rel=0.01)


def test_extreme_vectors_and_temperatures_stay_finite():
    zero = np.zeros((3, 4))
    a = Tensor(zero, requires_grad=True)
    value = nt_xent(a, Tensor(zero), 1e-3)
    value.backward()
    assert value.item() == pytest.approx(math.log(5))
    assert np.isfinite(a.grad.numpy()).all()
    big = nt_xent(Tensor(rows() * 1e6), Tensor(rows() * 1e6), 1e-3)
    assert np.isfinite(big.item())


@pytest.mark.parametrize("temperature", [0, -0.5, float("nan"), float("inf")])
def test_a_temperature_must_be_above_0(temperature):
    with pytest.raises(ValueError, match="nt_xent: the temperature must be above 0, got"):
        loss(rows(), rows(), temperature)
    with pytest.raises(ValueError, match="Contrastive: the temperature must be above 0, got"):
        Contrastive(Augmentation(shift=1), temperature)


def test_one_image_has_no_negatives():
    with pytest.raises(
        ValueError, match="1 pair of views has no negatives; a batch needs two or more"
    ):
        loss(rows(1), rows(1), 0.5)
    batch = {"pixel_values": np.zeros((1, 1, 4, 4), np.float32)}
    with pytest.raises(ValueError, match="1 pair of views has no negatives"):
        Contrastive(Augmentation(shift=1))(SimCLR(SMALL), batch)


@pytest.mark.parametrize(
    ("first", "second", "originals", "message"),
    [
        (rows(), rows(4), None, r"two views \(N, P\) are needed, got \(5, 4\), \(4, 4\)"),
        (rows()[0], rows()[0], None, r"two views \(N, P\) are needed, got \(4,\)"),
        (rows(), rows(), [1, 2], r"5 pairs, but originals of shape \(2,\)"),
    ],
)
def test_views_that_are_no_pairs_are_refused(first, second, originals, message):
    with pytest.raises(ValueError, match=message):
        loss(first, second, 0.5, originals)


def test_alignment_and_uniformity_have_their_limits():
    z = unit_rows(RNG.standard_normal((400, 64)))
    assert alignment(z, z) == 0
    assert alignment(z, -z) == pytest.approx(4, rel=1e-6)
    assert uniformity(np.tile(z[:1], (5, 1))) == pytest.approx(0, abs=1e-6)
    pairs = [np.exp(-2 * ((a - b) ** 2).sum()) for i, a in enumerate(z[:20]) for b in z[:i]]
    assert uniformity(z[:20]) == pytest.approx(math.log(np.mean(pairs)))
    assert uniformity(z) == pytest.approx(-3.9, abs=0.1)  # on a sphere of 64 dimensions: near −4


def batch_of(count=6):
    return {"pixel_values": RNG.random((count, 1, 4, 4)).astype(np.float32)}


def test_simclr_compares_two_views_of_each_image(device):
    seen = []

    class Spy(nn.Module):
        def __init__(self):
            self.scale = nn.Parameter(np.float32(1))

        def forward(self, pixel_values):
            seen.append(pixel_values)
            return ops.flatten(Tensor(pixel_values), 1) * self.scale

    batch = batch_of()
    value, log = Contrastive(Augmentation(noise=0.1), 0.5)(Spy(), batch)
    first, second = np.split(seen[0].reshape(12, 16).astype(float), 2)
    x = batch["pixel_values"].reshape(6, 16)
    assert np.abs(first - x).max() < 0.6
    assert not np.array_equal(first, second)
    assert value.item() == pytest.approx(nt_xent_by_loop(first, second, 0.5), rel=1e-5)
    assert log["alignment"] == pytest.approx(alignment(unit_rows(first), unit_rows(second)))
    assert log["count"] == 6
    assert set(log) == {"loss", "alignment", "uniformity", "accuracy", "count"}
    assert log["accuracy"] == 1


def test_labels_in_the_batch_are_not_looked_at():
    model, batch, losses = SimCLR(SMALL), batch_of(), []
    for labels in ({}, {"labels": np.arange(6)}):
        manual_seed(1)
        losses.append(Contrastive(Augmentation(noise=0.1))(model, batch | labels)[0].item())
    assert losses[0] == losses[1]


def test_simclr_finds_equal_images_in_a_batch():
    batch = batch_of(2)
    batch["pixel_values"] = np.repeat(batch["pixel_values"][:1], 4, axis=0)
    value, _ = Contrastive(Augmentation(noise=0.1))(SimCLR(SMALL), batch)
    assert value.item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("chunk", [1, 5, 100])
def test_cached_gradients_are_those_of_the_whole_batch(chunk, device):
    model, batch = SimCLR(SMALL).to(device), batch_of()
    results = []
    for setting in (None, chunk):
        manual_seed(1)
        for p in model.parameters():
            p.grad = None
        value, log = Contrastive(Augmentation(shift=1, noise=0.1), 0.3, setting)(model, batch)
        (value * 3).backward()
        results.append((log, [p.grad.numpy() for p in model.parameters()]))
    (whole, expected), (cached, found) = results
    for name in ("loss", "alignment", "uniformity"):
        assert cached[name] == pytest.approx(whole[name], rel=1e-4)
    for a, b in zip(found, expected):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-6)


def test_the_second_pass_drops_what_the_first_dropped():
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))
    x, kept = RNG.standard_normal((4, 3)).astype(np.float32), []

    def embed(part):
        y = model(Tensor(part))
        kept.append(y.numpy() != 0)
        return y

    cached_loss(model, embed, x, lambda z: (z * z).sum(), 2).backward()
    assert np.array_equal(kept[:2], kept[2:])
    assert not np.array_equal(kept[0], kept[1])


def test_a_frozen_model_has_a_cached_loss_without_a_gradient():
    model = SimCLR(SMALL)
    model.freeze()
    value, _ = Contrastive(Augmentation(noise=0.1), chunk=4)(model, batch_of())
    assert not value.requires_grad
    with pytest.raises(ValueError, match="chunk must be 1 or more views, got 0"):
        Contrastive(Augmentation(noise=0.1), chunk=0)
