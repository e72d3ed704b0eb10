"""Learning by a game: the discriminator's losses, the generator's, and the step that both take.

D maps an image, real or not, to a score: the logit of "it is real" (Goodfellow et al. 2014) or,
without a bound, of Wasserstein's distance (Arjovsky et al. 2017). G never sees an image, only how
D's score changes with its own.

Not here: the networks (`models/gan.py`). Read next: `contrastive.py`.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from minift import ops
from minift.autograd import grad
from minift.backend import random, to_device
from minift.models.gan import GAN
from minift.objectives.numbers import Log
from minift.objectives.reconstruction import images_of
from minift.tape import no_grad
from minift.tensor import Tensor


class Game(Protocol):
    """Two losses that the players lower in turn, each (model, batch) -> (loss, log)."""

    def discriminator_loss(self, model: GAN, batch: dict[str, Any]) -> tuple[Tensor, Log]: ...

    def generator_loss(self, model: GAN, batch: dict[str, Any]) -> tuple[Tensor, Log]: ...


class NonSaturating:
    """Goodfellow et al. 2014, section 3, as losses to be lowered, from logits d:

    D: −½ (E_x log σ(d(x)) + E_z log(1 − σ(d(G(z)))));  G: −E_z log σ(d(G(z))).

    G does not lower log(1 − σ(d(G(z)))), whose slope vanishes where D is sure. In equilibrium D
    says ½ of all: both losses are log 2. The logs hold the losses, and D's mean σ(d) of both kinds.
    """

    def discriminator_loss(self, model: GAN, batch: dict[str, Any]) -> tuple[Tensor, Log]:
        """G's images are made without a graph: this loss moves D alone."""
        images = images_of(batch)
        real = model(images)  # (B,)
        fake = model(imitations(model, len(images)))
        loss = (ops.softplus(-real).mean() + ops.softplus(fake).mean()) * 0.5
        log: Log = {
            "discriminator_loss": loss.item(),
            "d_real": ops.sigmoid(real.detach()).mean().item(),
            "d_fake": ops.sigmoid(fake.detach()).mean().item(),
            "count": len(images),
        }
        return loss, log

    def generator_loss(self, model: GAN, batch: dict[str, Any]) -> tuple[Tensor, Log]:
        """As many images as the batch holds."""
        count = len(images_of(batch))
        loss = ops.softplus(-model(model.generate(count))).mean()
        return loss, {"generator_loss": loss.item(), "count": count}


class Wasserstein:
    """Gulrajani et al. 2017, equation 3: D gives scores whose slope is held near 1.

    D: E_z d(G(z)) − E_x d(x) + λ E_x̂ (‖∇_x̂ d(x̂)‖ − 1)²;  G: −E_z d(G(z)),
    with x̂ = u x + (1 − u) G(z), u ~ U(0, 1), one an image. The gradient's norm is itself
    differentiated. −D's first two terms estimate the distance, logged as `distance`.
    """

    def __init__(self, penalty: float = 10.0):
        if not penalty > 0:
            raise ValueError(f"Wasserstein: penalty (λ) must be above 0, got {penalty}")
        self.penalty = penalty

    def discriminator_loss(self, model: GAN, batch: dict[str, Any]) -> tuple[Tensor, Log]:
        """G's images are made without a graph: this loss moves D alone."""
        images = images_of(batch)
        fakes = imitations(model, len(images))
        distance = model(images).mean() - model(fakes).mean()
        slopes = gradient_norms(model, between(images, fakes))  # (B,)
        loss = ((slopes - 1) * (slopes - 1)).mean() * self.penalty - distance
        log: Log = {
            "discriminator_loss": loss.item(),
            "distance": distance.item(),
            "slope": slopes.mean().item(),
            "count": len(images),
        }
        return loss, log

    def generator_loss(self, model: GAN, batch: dict[str, Any]) -> tuple[Tensor, Log]:
        """As many images as the batch holds."""
        count = len(images_of(batch))
        loss = -model(model.generate(count)).mean()
        return loss, {"generator_loss": loss.item(), "count": count}


class Optimizer(Protocol):
    """What a step needs of an optimizer."""

    def zero_grad(self) -> None: ...

    def step(self) -> None: ...


class TwoPlayerStep:
    """One turn of the game: D moves `turns` times, then G once, each by its own optimizer.

    A player's optimizer holds that player's parameters and no others; the gradients that its loss
    leaves on the other player are dropped before they count.
    """

    def __init__(self, game: Game, discriminator: Optimizer, generator: Optimizer, turns: int = 1):
        if turns < 1:
            raise ValueError(f"TwoPlayerStep: turns must be 1 or more, got {turns}")
        self.game, self.turns = game, turns
        self.discriminator, self.generator = discriminator, generator

    def __call__(self, model: GAN, batch: dict[str, Any]) -> Log:
        """Play one turn; returns what both losses log."""
        for _ in range(self.turns):
            log = take_step(self.discriminator, *self.game.discriminator_loss(model, batch))
        return log | take_step(self.generator, *self.game.generator_loss(model, batch))


def take_step(optimizer: Optimizer, loss: Tensor, log: Log) -> Log:
    """Move one player down its loss. Raises FloatingPointError where the loss is no number."""
    if not np.isfinite(loss.item()):
        raise FloatingPointError(f"the loss of a player is {loss.item()}; lower its learning rate")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return log


def imitations(model: GAN, count: int) -> Tensor:
    """Images of the generator as they are, (count, c, H, W): no gradient reaches it."""
    with no_grad():
        return model.generate(count)


def between(images: np.ndarray, fakes: Tensor) -> Tensor:
    """For each pair one image at random on the line between them, (B, c, H, W), a leaf."""
    share = random.generator("penalty").random((len(images), 1, 1, 1))
    share, real = (to_device(a.astype(fakes.dtype), fakes.device) for a in (share, images))
    return Tensor(share * real + (1 - share) * fakes.data, requires_grad=True)


def gradient_norms(model: GAN, images: Tensor) -> Tensor:
    """‖∇_x d(x)‖ of each image, (B,), with a graph: D's weights can be trained by it.

    Scores of other images do not depend on an image, so that the gradient of their sum is each
    one's own. The 1e-12 keeps the root's slope finite where the gradient is 0.
    """
    (slope,) = grad(model(images).sum(), [images], create_graph=True)
    return ops.sqrt((slope * slope).sum(axis=(1, 2, 3)) + 1e-12)
