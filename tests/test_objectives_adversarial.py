"""The two-player losses beside loops and their equilibria; the penalty; the step."""

import math

import numpy as np
import pytest

from minift import gradcheck, nn, ops
from minift.backend.random import manual_seed
from minift.models import GAN, GANConfig, load
from minift.objectives import NonSaturating, TwoPlayerStep, Wasserstein
from minift.objectives.adversarial import between, gradient_norms
from minift.optim import SGD, Adam
from minift.tensor import Tensor

RNG = np.random.default_rng(0)
START = RNG.bit_generator.state
SMALL = GANConfig(image_size=4, hidden_sizes=(6,), code_size=3)


@pytest.fixture(autouse=True)
def same_draws():
    """Each test draws the same numbers, whichever others run."""
    manual_seed(0)
    RNG.bit_generator.state = START


def in_float64(model):
    for p in model.parameters():
        p.data = p.data.astype(np.float64)
    return model


def images(count=5):
    return RNG.random((count, 1, 4, 4)).astype(np.float32)


def batch(count=5):
    return {"pixel_values": images(count)}


class Scored(GAN):
    """Real images get one score, imitations (all pixels 0.5) another: the losses' limits."""

    def __init__(self, real, fake):
        super().__init__(SMALL)
        self.real, self.fake = real, fake

    def forward(self, pixel_values):
        is_fake = isinstance(pixel_values, Tensor)
        return ops.flatten(self.discriminator(pixel_values)) * 0 + (
            self.fake if is_fake else self.real
        )


def test_the_losses_are_the_formulas_written_out(device):
    model, x = in_float64(GAN(SMALL)).to(device), images().astype(np.float64)
    manual_seed(3)
    loss, log = NonSaturating().discriminator_loss(model, {"pixel_values": x})
    manual_seed(3)
    fakes = model.samples(5)
    sigmoid = lambda d: 1 / (1 + math.exp(-d))
    real = [sigmoid(d) for d in model(x).numpy().tolist()]
    fake = [sigmoid(d) for d in model(fakes).numpy().tolist()]
    expected = -sum(math.log(r) + math.log(1 - f) for r, f in zip(real, fake)) / 5 / 2
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    assert log["d_real"] == pytest.approx(np.mean(real), rel=1e-12)
    assert log["d_fake"] == pytest.approx(np.mean(fake), rel=1e-12)
    manual_seed(3)
    loss, log = NonSaturating().generator_loss(model, {"pixel_values": x})
    assert loss.item() == pytest.approx(-np.mean(np.log(fake)), rel=1e-12)
    assert log == {"generator_loss": loss.item(), "count": 5}


def test_at_equilibrium_both_losses_are_log_2():
    """E32: D maps any image to the probability that it is real; ½ where it cannot tell."""
    model = Scored(0.0, 0.0)
    loss, log = NonSaturating().discriminator_loss(model, batch())
    assert loss.item() == pytest.approx(math.log(2))
    assert (log["d_real"], log["d_fake"]) == (0.5, 0.5)
    assert NonSaturating().generator_loss(model, batch())[0].item() == pytest.approx(math.log(2))


def test_a_perfect_discriminator_pays_nothing_and_a_fooled_one_its_score():
    assert NonSaturating().discriminator_loss(Scored(99.0, -99.0), batch())[0].item() < 1e-30
    fooled = NonSaturating().discriminator_loss(Scored(-99.0, 99.0), batch())[0].item()
    assert fooled == pytest.approx(99)


def test_the_generators_slope_does_not_vanish_where_the_discriminator_is_sure():
    """E32: the minimax loss log(1 − D(G(z))) has slope σ(d), which is nothing at d = −20."""
    d = Tensor(np.array([-20.0]), requires_grad=True)
    ops.softplus(-d).sum().backward()
    assert d.grad.item() == pytest.approx(-1)
    d.grad = None
    (-ops.softplus(d)).sum().backward()
    assert abs(d.grad.item()) < 1e-8


@pytest.mark.parametrize("game", [NonSaturating(), Wasserstein()])
def test_each_loss_reaches_its_own_player(game, device):
    model = GAN(SMALL).to(device)
    game.discriminator_loss(model, batch())[0].backward()
    assert all(p.grad is None for p in model.generator.parameters())
    assert any(np.abs(p.grad.numpy()).max() > 0 for p in model.discriminator.parameters())
    game.generator_loss(model, batch())[0].backward()
    assert all(np.abs(p.grad.numpy()).max() > 0 for p in model.generator.parameters())


def test_the_wasserstein_losses_are_the_formulas_written_out(device):
    model, x = in_float64(GAN(SMALL)).to(device), images().astype(np.float64)
    manual_seed(3)
    loss, log = Wasserstein(7.0).discriminator_loss(model, {"pixel_values": x})
    manual_seed(3)
    fakes = model.generate(5)
    mixed = between(x, fakes)
    distance = (model(x).numpy() - model(fakes).numpy()).mean()
    slopes = []
    for image in mixed.numpy():  # finite differences, pixel by pixel
        slope = [difference(model, image, place) for place in np.ndindex(image.shape)]
        slopes.append(math.sqrt(sum(s * s for s in slope)))
    assert log["distance"] == pytest.approx(distance, rel=1e-12)
    assert log["slope"] == pytest.approx(np.mean(slopes), rel=1e-6)
    penalty = 7 * np.mean([(s - 1) ** 2 for s in slopes])
    assert loss.item() == pytest.approx(penalty - distance, rel=1e-6)


def difference(model, image, place, step=1e-6):
    ends = []
    for sign in (1, -1):
        moved = image.copy()
        moved[place] += sign * step
        ends.append(float(model(moved[None]).numpy()[0]))
    return (ends[0] - ends[1]) / (2 * step)


def test_the_slope_of_a_linear_score_is_the_length_of_its_weights():
    weights = RNG.standard_normal((16,))

    class Linear(nn.Module):
        def __call__(self, x):
            return ops.flatten(x, 1) @ weights

    x = Tensor(RNG.random((3, 1, 4, 4)), requires_grad=True)
    np.testing.assert_allclose(gradient_norms(Linear(), x).numpy(), np.linalg.norm(weights))


def test_the_penalty_is_itself_differentiated():
    x = Tensor(RNG.random((3, 1, 2, 2)), requires_grad=True)

    def penalty(first, second):
        score = lambda images: ops.tanh(ops.flatten(images, 1) @ first) @ second
        norms = gradient_norms(score, x)
        return ((norms - 1) * (norms - 1)).mean()

    inputs = [Tensor(RNG.standard_normal(s), requires_grad=True) for s in ((4, 5), (5,))]
    assert gradcheck(penalty, inputs)


def test_images_between_lie_on_the_line_at_even_places():
    real, fake = np.ones((4000, 1, 2, 2), np.float32), Tensor(np.zeros((4000, 1, 2, 2), np.float32))
    mixed = between(real, fake).numpy()
    assert np.ptp(mixed, axis=(1, 2, 3)).max() == 0  # one place an image
    counts = np.histogram(mixed[:, 0, 0, 0], bins=10, range=(0, 1))[0]
    assert ((counts - 400) ** 2 / 400).sum() < 27.88  # χ² with 9 degrees, .999


def step_for(model, game, **more):
    players = model.discriminator.parameters(), model.generator.parameters()
    return TwoPlayerStep(game, *(Adam(p, lr=1e-2) for p in players), **more)


@pytest.mark.parametrize("game", [NonSaturating(), Wasserstein()])
def test_a_step_moves_both_players_and_logs_both_losses(game, device):
    model = GAN(SMALL).to(device)
    before = model.state_dict()
    log = step_for(model, game, turns=2)(model, batch())
    assert {"discriminator_loss", "generator_loss", "count"} <= set(log)
    assert all(isinstance(value, float | int) for value in log.values())
    moved = {name for name, p in model.state_dict().items() if not np.array_equal(p, before[name])}
    assert moved >= {"discriminator.output.weight", "generator.input.weight"}


def test_the_generators_turn_leaves_nothing_on_the_discriminator():
    """The discriminator moves by its own loss alone, whatever the other left in its gradients."""
    x, results = batch(), []
    for generator_first in (False, True):
        manual_seed(4)
        model, game = GAN(SMALL), NonSaturating()
        if generator_first:
            game.generator_loss(model, x)[0].backward()
        players = model.discriminator.parameters(), model.generator.parameters()
        manual_seed(5)
        TwoPlayerStep(game, *(SGD(p, lr=1.0) for p in players))(model, x)
        results.append(model.discriminator.output.weight.numpy())
    np.testing.assert_array_equal(*results)


def test_a_generator_learns_where_the_images_are():
    """All images are one: after the game the generator's are near it."""
    model, target = GAN(SMALL), np.zeros((16, 1, 4, 4), np.float32)
    target[:, :, :2] = 1
    step = step_for(model, NonSaturating())
    for _ in range(200):
        step(model, {"pixel_values": target})
    assert np.abs(model.samples(50) - target[:1]).mean() < 0.1


def test_features_are_what_the_last_layer_reads():
    model, x = GAN(SMALL), images()
    features = model.encode(x)
    assert features.shape == (5, 6)
    last = model.discriminator.output
    expected = features.numpy() @ last.weight.numpy().T + last.bias.numpy()
    np.testing.assert_allclose(model(x).numpy(), expected[:, 0], rtol=1e-5)


def test_mistakes_are_named():
    model = GAN(SMALL)
    with pytest.raises(ValueError, match=r"Wasserstein: penalty \(λ\) must be above 0, got 0"):
        Wasserstein(0)
    with pytest.raises(ValueError, match="TwoPlayerStep: turns must be 1 or more, got 0"):
        step_for(model, NonSaturating(), turns=0)
    with pytest.raises(ValueError, match="at least one image"):
        NonSaturating().discriminator_loss(model, batch(0))
    model.discriminator.output.bias.data = np.array([np.nan], np.float32)
    with pytest.raises(FloatingPointError, match="loss of a player is nan; lower its learning"):
        step_for(model, NonSaturating())(model, batch())


def test_a_saved_gan_comes_back(tmp_path):
    model, x = GAN(SMALL), images()
    model.save_pretrained(tmp_path)
    again = load(tmp_path)
    assert type(again) is GAN
    np.testing.assert_array_equal(again(x).numpy(), model.eval()(x).numpy())
