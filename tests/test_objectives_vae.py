"""The evidence lower bound beside loops and Monte Carlo; codes, samples and walks."""

import math

import numpy as np
import pytest

from minift import gradcheck, ops
from minift.backend.random import manual_seed
from minift.models import VAE, VAEConfig, load
from minift.objectives import EvidenceLowerBound
from minift.objectives.vae import log_likelihood
from minift.tensor import Tensor

RNG = np.random.default_rng(0)
START = RNG.bit_generator.state
SIZES = {"image_size": 4, "hidden_sizes": (6,), "code_size": 3}
LIKELIHOODS = ["bernoulli", "gaussian"]


@pytest.fixture(autouse=True)
def same_draws():
    """Each test draws the same numbers, whichever others run."""
    manual_seed(0)
    RNG.bit_generator.state = START


def vae(likelihood="bernoulli", **more):
    return VAE(VAEConfig(**{**SIZES, **more}, likelihood=likelihood))


def in_float64(model):
    for p in model.parameters():
        p.data = p.data.astype(np.float64)
    return model


def images(count=5):
    return RNG.random((count, 1, 4, 4)).astype(np.float32)


def log_density_by_loop(likelihood, x, f, s):
    """log p(x|z) of one image, pixel by pixel."""
    total = 0.0
    for pixel, out in zip(x.ravel().astype(float), f.ravel().astype(float)):
        if likelihood == "bernoulli":
            p = 1 / (1 + math.exp(-out))
            total += pixel * math.log(p) + (1 - pixel) * math.log(1 - p)
        else:
            total += -((pixel - out) ** 2) / (2 * s * s) - math.log(s * math.sqrt(2 * math.pi))
    return total


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("beta", [0, 1, 4.0])
def test_the_bound_is_the_formula_written_out(likelihood, beta, device):
    model, x = in_float64(vae(likelihood)).to(device), images().astype(np.float64)
    manual_seed(5)
    loss, log = EvidenceLowerBound(beta)(model, {"pixel_values": x})
    manual_seed(5)
    mean, log_variance = model.encode(x)
    f = model.decoder(model.sample_code(mean, log_variance)).numpy()
    mu, variance = mean.numpy().astype(float), np.exp(log_variance.numpy().astype(float))
    log_p = np.mean([log_density_by_loop(likelihood, a, b, 0.1) for a, b in zip(x, f)])
    kl = np.mean([sum(0.5 * (m * m + v - math.log(v) - 1) for m, v in zip(*row))
                  for row in zip(mu, variance)])  # fmt: skip
    assert log["reconstruction"] == pytest.approx(-log_p / 16, rel=1e-10)
    assert log["kl"] == pytest.approx(kl / 16, rel=1e-10)
    assert log["elbo"] == pytest.approx((log_p - kl) / 16, rel=1e-10)
    assert loss.item() == pytest.approx((-log_p + beta * kl) / 16, rel=1e-10)
    assert log["count"] == 5
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())


def test_the_closed_form_of_the_kl_is_monte_carlo_within_1_percent():
    """E29, E31: with σ where σ² belongs the two disagree."""
    mu, sigma = np.array([0.3, -1.2, 0.0]), np.array([0.5, 1.7, 1.0])
    exact = ops.kl_normal(Tensor(mu[None]), Tensor(2 * np.log(sigma)[None])).item()
    z = mu + sigma * RNG.standard_normal((1_000_000, 3))
    log_q = -((z - mu) ** 2) / (2 * sigma**2) - np.log(sigma)
    log_prior = -(z**2) / 2
    assert exact == pytest.approx((log_q - log_prior).sum(1).mean(), rel=0.01)
    article = 0.5 * (mu**2 + sigma - np.log(sigma) - 1).sum()  # σ taken for the variance
    assert abs(article / exact - 1) > 0.2


@pytest.mark.parametrize("rows", range(4))
def test_the_kl_is_0_at_the_prior_alone(rows):
    mu, log_variance = RNG.standard_normal((2, rows + 1, 4))
    assert ops.kl_normal(Tensor(mu), Tensor(log_variance)).item() > 0
    zero = np.zeros((rows + 1, 4))
    assert ops.kl_normal(Tensor(zero), Tensor(zero)).item() == 0


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_the_gradients_agree_with_finite_differences(likelihood):
    model, x, epsilon = vae(likelihood), RNG.random((2, 1, 4, 4)), RNG.standard_normal((2, 3))

    def bound(mean, log_variance, decoder):
        z = mean + ops.exp(log_variance * 0.5) * epsilon
        decoded = ops.reshape(z @ decoder, (2, 1, 4, 4))
        return ops.kl_normal(mean, log_variance) - log_likelihood(model, decoded, x)

    inputs = [Tensor(a, requires_grad=True) for a in (*RNG.standard_normal((2, 2, 3)),
              RNG.standard_normal((3, 16)))]  # fmt: skip
    assert gradcheck(bound, inputs)


def test_codes_have_the_mean_and_the_deviation_that_were_asked_for():
    """E29: σ = exp(½ log σ²); with exp(log σ²) the deviation would be σ²."""
    mean, log_variance = Tensor(np.full((20_000, 2), 3.0)), Tensor(np.full((20_000, 2), -2.0))
    z = vae().sample_code(mean, log_variance).numpy()
    assert z.mean() == pytest.approx(3, abs=0.01)
    assert z.std() == pytest.approx(math.exp(-1), rel=0.02)
    assert abs(math.exp(-2) / z.std() - 1) > 0.5


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_the_decoder_sees_the_code_and_nothing_of_the_image(likelihood):
    """E30: p(x|z) does not depend on x: with one code, two images get one and the same mean."""
    model = vae(likelihood)
    manual_seed(2)
    codes = Tensor(np.tile(RNG.standard_normal((1, 3)).astype(np.float32), (2, 1)))
    first, second = model.decode(codes).numpy()
    np.testing.assert_array_equal(first, second)
    x, z = images(1), Tensor(codes.numpy()[:1])
    before = model.decoder(z).numpy()
    model.encode(x + 1)
    np.testing.assert_array_equal(model.decoder(z).numpy(), before)


def test_perfect_pixels_have_the_densities_of_their_peaks():
    x = np.array([0, 1, 1, 0] * 4, float).reshape(1, 1, 4, 4)
    gaussian = log_likelihood(vae("gaussian", decoder_std=0.5), Tensor(x), x).item()
    assert gaussian == pytest.approx(-16 * math.log(0.5 * math.sqrt(2 * math.pi)))
    bernoulli = vae("bernoulli")
    assert log_likelihood(bernoulli, Tensor(80 * (2 * x - 1)), x).item() == pytest.approx(0)
    uniform = log_likelihood(bernoulli, Tensor(np.zeros((1, 1, 4, 4))), x).item()
    assert uniform == pytest.approx(-16 * math.log(2))


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_one_image_and_copies_of_it_have_one_loss(likelihood):
    model, x = vae(likelihood), images(1)
    mean, log_variance = model.encode(np.repeat(x, 3, axis=0))
    one = log_likelihood(model, model.decoder(mean[:1]), x).item()
    copies = log_likelihood(model, model.decoder(mean), np.repeat(x, 3, axis=0)).item()
    assert copies == pytest.approx(one, rel=1e-5)
    assert ops.kl_normal(mean, log_variance).item() == pytest.approx(
        ops.kl_normal(mean[:1], log_variance[:1]).item(), rel=1e-5
    )


def test_weights_out_of_all_bounds_still_give_numbers():
    model = vae()
    model.encoder.output.weight.data = model.encoder.output.weight.data * 1e6
    loss, _ = EvidenceLowerBound()(model, {"pixel_values": images()})
    assert np.isfinite(loss.item())


def test_images_are_drawn_from_the_prior_and_on_the_way_between_two():
    model, (start, end) = vae(), images(2)
    manual_seed(1)
    drawn = model.generate(7)
    assert drawn.shape == (7, 1, 4, 4)
    assert ((drawn > 0) & (drawn < 1)).all()
    assert not np.array_equal(drawn, model.generate(7))
    still = model.generate(3, temperature=0)
    np.testing.assert_array_equal(still[0], still[1])
    walk = model.walk(start, end, 5)
    assert walk.shape == (5, 1, 4, 4)
    np.testing.assert_allclose(walk[[0, -1]], model(np.stack([start, end])).numpy(), rtol=1e-4)


@pytest.mark.parametrize("beta", [-1, float("nan"), float("inf")])
def test_beta_is_0_or_more(beta):
    with pytest.raises(ValueError, match="EvidenceLowerBound: beta must be 0 or more, got"):
        EvidenceLowerBound(beta)


def test_settings_and_pixels_that_have_no_density_are_refused():
    with pytest.raises(ValueError, match="likelihood must be gaussian or bernoulli, got 'poisson'"):
        VAEConfig(likelihood="poisson")
    with pytest.raises(ValueError, match="decoder_std must be a number above 0, got 0"):
        VAEConfig(decoder_std=0)
    x = np.array([-1, 2] * 8, np.float32).reshape(1, 1, 4, 4)
    with pytest.raises(ValueError, match=r"needs pixels in \[0, 1\], got -1 to 2; scale them"):
        EvidenceLowerBound()(vae(), {"pixel_values": x})
    with pytest.raises(ValueError, match="at least one image"):
        EvidenceLowerBound()(vae(), {"pixel_values": images(0)})


def test_a_saved_vae_comes_back(tmp_path):
    model, x = vae("gaussian", decoder_std=0.3), images()
    model.save_pretrained(tmp_path)
    again = load(tmp_path)
    assert again.config == model.config
    np.testing.assert_array_equal(again(x).numpy(), model.eval()(x).numpy())
