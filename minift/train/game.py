"""GameTrainer: the training loop for two players, of whom each has a loss and an optimizer.

All else is `trainer.py`'s: batches, evaluation, callbacks, checkpoints. What a turn is, and the
losses, are `minift/objectives/adversarial.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minift.data import DataLoader, Dataset
from minift.models import GAN
from minift.objectives import NonSaturating, TwoPlayerStep
from minift.optim import Optimizer
from minift.train.callbacks import Callback
from minift.train.config import TrainConfig
from minift.train.trainer import Trainer


class Players:
    """Two optimizers as the one whose rates and state a Trainer keeps."""

    def __init__(self, discriminator: Optimizer, generator: Optimizer):
        self.both = {"discriminator": discriminator, "generator": generator}

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The discriminator's groups, then the generator's."""
        return [group for player in self.both.values() for group in player.param_groups]

    def state_dict(self) -> dict[str, Any]:
        return {name: player.state_dict() for name, player in self.both.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, player in self.both.items():
            player.load_state_dict(state[name])


class GameTrainer(Trainer):
    """Plays `game` with `model`; `loss` in its records is the discriminator's.

    The rates of both optimizers follow the schedule; nothing is clipped. Raises ValueError for a
    config that accumulates batches or wants float16: a turn is one batch, in float32.
    """

    def __init__(
        self,
        model: GAN,
        train: Dataset | DataLoader,
        validation: Dataset | DataLoader | None = None,
        *,
        game: NonSaturating,
        discriminator: Optimizer,
        generator: Optimizer,
        config: TrainConfig,
        callbacks: Sequence[Callback] = (),
    ):
        if config.accumulate != 1 or config.precision != "float32":
            raise ValueError("GameTrainer: a turn takes one batch (accumulate=1), in float32")
        optimizer: Any = Players(discriminator, generator)
        super().__init__(
            model,
            train,
            validation,
            objective=game.discriminator_loss,  # type: ignore[arg-type]  # of a GAN alone
            config=config,
            optimizer=optimizer,
            callbacks=callbacks,
        )
        self.turn = TwoPlayerStep(game, discriminator, generator)

    def train_step(self, *batches: Any) -> None:
        """One turn. Raises FloatingPointError if a player's loss is no number."""
        factor = self.factor()
        for group, peak in zip(self.optimizer.param_groups, self.peak_rates):
            group["lr"] = peak * factor
        try:
            log: dict[str, Any] = self.turn(self.model, batches[0])  # type: ignore[arg-type]
        except FloatingPointError as error:
            raise FloatingPointError(f"step {self.step + 1}: {error}") from None
        self.step += 1
        loss = log["discriminator_loss"]
        self.log = {"step": self.step, "loss": loss, **log, "lr_factor": factor}
        self.batches = list(batches)
        self.history.steps.append(self.log)
