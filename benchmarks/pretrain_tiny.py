"""How the checkpoint `tiny` was made, which ships inside the package.

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.pretrain_tiny --output runs/tiny

About a quarter of an hour on one core of its own. The same command goes on after a kill, from the
last checkpoint, and ends with the very weights of an uninterrupted run; kernels that round in
another way end elsewhere, as far apart as two seeds. `runs/tiny/model` is what ships, with a
README.md; the log beside it is kept in `benchmarks/results/pretrain_tiny.jsonl`.

Text: every WordNet definition and example sentence that `load_glosses` calls unlabelled. A gloss
of the development or test split is not among them, nor is any gloss that shares a word's lemma or
its text with one of those (`minift/data/make_glosses.py`), nor an example that is one of them
word for word. Labels are never read. Development definitions serve to draw the validation curve.

A BERT of several layers hardly learns for its first thousands of steps: until a [MASK] hears its
neighbours, word frequencies are the best guess. One layer learns at once. So one layer is trained
first, and each deeper model starts as a copy of the one before with every layer doubled
(progressive stacking: Gong et al. 2019, "Efficient training of BERT by progressively stacking").
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from minift import hub
from minift.backend.random import manual_seed
from minift.data import TokenDataset, load_glosses
from minift.models import BertForMaskedLM
from minift.objectives import MaskedLM
from minift.optim import schedules
from minift.quickstart.pretraining import (
    masked_loader,
    train_tokenizer,
    unlabelled_texts,
    word_frequencies,
)
from minift.quickstart.recipe import DEFAULT, Setup
from minift.train import Checkpoint, JsonLog, Progress, TrainConfig, Trainer, adamw

LOG = Path(__file__).parent / "results" / "pretrain_tiny.jsonl"
SEED = 0
# A small model learns faster from many hidden words (Wettig et al. 2023, "Should you mask 15 %")
RECIPE = replace(DEFAULT, with_examples=True, masked=0.3)
LAYER = re.compile(r"\.layer\.(\d+)\.")  # in the name of a weight
POSITIONS = "bert.embeddings.position_embeddings.weight"
MAX_LENGTH = 256  # tokens that the shipped model reads
EVERY = 250  # steps from checkpoint to checkpoint: about half a minute
Weights = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Stage:
    """One model of the stack: so many layers, trained for so many steps at or below a rate."""

    layers: int
    steps: int
    lr: float
    schedule: Callable[[int, int, int], float] = schedules.constant
    warmup: int = 200  # steps


STAGES = (
    Stage(layers=1, steps=4000, lr=3e-3),
    Stage(layers=2, steps=1750, lr=2e-3),
    Stage(layers=2, steps=1200, lr=2e-3, schedule=schedules.linear, warmup=20),
)


def setup_of(stage: Stage, shared: Setup) -> Setup:
    """The same data and tokenizer, for the stage's model."""
    return replace(shared, recipe=replace(shared.recipe, layers=stage.layers))


def first_model(setup: Setup, texts: TokenDataset) -> BertForMaskedLM:
    """Fresh weights; the output bias starts at the logarithms of the words' frequencies."""
    model = setup.new_model(BertForMaskedLM, setup.recipe.dropout)
    frequencies = word_frequencies(texts.ids, setup.tokenizer)
    model.cls.predictions.bias.data = np.log(frequencies, dtype=np.float32)
    return model


def stacked(model: BertForMaskedLM, below: Weights) -> BertForMaskedLM:
    """The model with the weights of a shallower one, whose layers each stand several times.

    Of k and n layers, layer i starts as layer ⌊i k / n⌋.
    """
    k = 1 + max(int(found[1]) for found in map(LAYER.search, below) if found)
    n = model.config.num_hidden_layers

    def origin(name: str) -> str:
        return LAYER.sub(lambda found: f".layer.{int(found[1]) * k // n}.", name)

    model.load_state_dict({name: below[origin(name)] for name in model.state_dict()})
    return model


def train(
    model: BertForMaskedLM, number: int, setup: Setup, texts: TokenDataset, folder: Path
) -> None:
    """Train the stage of that number, from its newest checkpoint if there is one."""
    stage = STAGES[number]
    held_out = setup.tokenizer.dataset(setup.glosses.dev[0], setup.recipe.max_length)
    run = folder / f"stage-{number + 1}"
    trainer = Trainer(
        model,
        masked_loader(setup, texts, SEED + number),  # so that no stage repeats another's batches
        validation=masked_loader(replace(setup, recipe=DEFAULT), held_out, SEED),  # 15 % hidden
        objective=MaskedLM(),
        config=TrainConfig(
            steps=stage.steps,
            warmup=stage.warmup / stage.steps,
            schedule=stage.schedule,
            evaluate_every=2 * EVERY,
            max_grad_norm=setup.recipe.max_grad_norm,
            seed=SEED + number,
            device="cpu",
        ),
        optimizer=adamw(
            [{"params": model.parameters()}],
            stage.lr,
            setup.recipe.weight_decay,
            setup.recipe.betas,
        ),
        callbacks=[
            Progress(f"stage {number + 1}, layers {stage.layers}"),
            JsonLog(run / "train.jsonl", every=20, stage=number + 1, layers=stage.layers),
            Checkpoint(run, every=EVERY),
        ],
    )
    if (run / "checkpoints").is_dir():
        trainer.resume(run)
    trainer.fit()


def write_half(model: BertForMaskedLM, setup: Setup, folder: Path) -> None:
    """The folder that ships: weights in half precision, and positions for longer texts.

    Every reader makes float32 of them. Definitions are short; as many positions again, and again,
    start from those that were trained (as Beltagy et al. 2020 lengthened RoBERTa, section 5).
    """
    weights = model.state_dict()
    rows = np.tile(weights[POSITIONS], (MAX_LENGTH // RECIPE.max_length, 1))  # (MAX_LENGTH, C)
    longer = replace(
        model.config,
        max_position_embeddings=MAX_LENGTH,
        hidden_dropout_prob=0.1,  # for who fine-tunes it
        attention_probs_dropout_prob=0.1,
        num_labels=2,
        id2label=None,
    )
    shipped = BertForMaskedLM(longer)
    shipped.load_state_dict(weights | {POSITIONS: rows})
    shipped.save_pretrained(folder, setup.tokenizer)
    halves = {name: array.astype(np.float16) for name, array in shipped.state_dict().items()}
    hub.write_arrays(folder / hub.WEIGHTS, halves)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, required=True, help="the run's folder")
    folder: Path = parser.parse_args().output
    glosses = load_glosses()
    shared = Setup(RECIPE, glosses, train_tokenizer(RECIPE, glosses))
    texts = shared.tokenizer.dataset(unlabelled_texts(RECIPE, glosses), RECIPE.max_length)
    manual_seed(SEED)
    below: Weights | None = None
    for number, stage in enumerate(STAGES):
        setup = setup_of(stage, shared)
        model = first_model(setup, texts)
        if below is not None:
            model = stacked(model, below)
        train(model, number, setup, texts, folder)
        below = model.state_dict()
    write_half(model, setup, folder / "model")
    write_log(folder)


def write_log(folder: Path) -> None:
    """One log of all stages, `train.jsonl`."""
    logs = [folder / f"stage-{number + 1}" / "train.jsonl" for number in range(len(STAGES))]
    hub.write(folder / "train.jsonl", b"".join(log.read_bytes() for log in logs))


if __name__ == "__main__":
    main()
