"""Progress: how far training is, how fast, and how long it will still take.

On a terminal a bar, in a pipe a plain line every few seconds; both on standard output.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from minift.train.callbacks import Callback

if TYPE_CHECKING:
    from minift.train.trainer import Trainer

BAR = (
    "{desc}: {percentage:3.0f} % |{bar:20}| step {n_fmt} of {total_fmt}{postfix}, {remaining} left"
)


class Progress(Callback):
    """Shows step, loss, tokens/s (examples/s for other data) and the time left.

    The loss is a running mean over about 20 steps. `label` stands before it all; with `keep` the
    full bar stays when training is done. `seconds` is the time between two plain lines. `beside`
    stands in brackets after the loss: what it is to be compared with.
    """

    def __init__(
        self, label: str = "training", keep: bool = True, seconds: float = 5.0, beside: str = ""
    ):
        self.label, self.keep, self.seconds = label, keep, seconds
        self.beside = f" ({beside})" if beside else ""

    def on_fit_start(self, trainer: Trainer) -> None:
        self._started = self._said = time.perf_counter()
        self._first_step, self._seen, self._loss = trainer.step, 0, None
        self._bar = self._open_bar(trainer) if sys.stdout.isatty() else None

    def on_step_end(self, trainer: Trainer) -> None:
        sizes = [size_of(batch) for batch in trainer.batches]
        self._seen += sum(number for number, _ in sizes)
        unit = sizes[0][1]
        loss = trainer.log["loss"]
        self._loss = loss if self._loss is None else 0.95 * self._loss + 0.05 * loss
        rate = self._seen / max(time.perf_counter() - self._started, 1e-9)
        if self._bar is not None:
            self._bar.set_postfix_str(f"loss {self._shown()}, {rate:,.0f} {unit}/s", refresh=False)
            self._bar.update()
        elif self._is_time(trainer):
            left = duration(self._seconds_left(trainer))
            print(
                f"{self.label}: step {trainer.step:,} of {trainer.total_steps:,}, "
                f"loss {self._shown()}, {rate:,.0f} {unit}/s, {left} left",
                flush=True,
            )

    def _shown(self) -> str:
        """The loss with at least two digits that count."""
        assert self._loss is not None
        digits = 2 if abs(self._loss) >= 0.1 else 4
        return f"{self._loss:.{digits}f}{self.beside}"

    def on_fit_end(self, trainer: Trainer) -> None:
        if self._bar is not None:
            self._bar.close()

    def _open_bar(self, trainer: Trainer) -> Any:
        from tqdm import tqdm

        return tqdm(
            total=trainer.total_steps,
            initial=trainer.step,
            desc=self.label,
            file=sys.stdout,
            leave=self.keep,
            dynamic_ncols=True,
            bar_format=BAR,
        )

    def _is_time(self, trainer: Trainer) -> bool:
        now = time.perf_counter()
        due = now - self._said >= self.seconds
        self._said = now if due else self._said
        return due or (self.keep and trainer.step == trainer.total_steps)

    def _seconds_left(self, trainer: Trainer) -> float:
        done = trainer.step - self._first_step
        return (time.perf_counter() - self._started) / done * (trainer.total_steps - trainer.step)


def size_of(batch: Any) -> tuple[int, str]:
    """How much a batch holds, and of what: real tokens if it is text, else examples."""
    if isinstance(batch, dict) and "attention_mask" in batch:
        return int(batch["attention_mask"].sum()), "tokens"
    first = next(iter(batch.values())) if isinstance(batch, dict) else batch[0]
    return len(first), "examples"


def duration(seconds: float) -> str:
    """Seconds as a reader says them: 8 s, 2 min 05 s, 1 h 12 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
