"""What a pre-training is asked for, and all that can be checked before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from minift import hub
from minift.jobs import folder as run_folder
from minift.jobs import resuming
from minift.jobs.images import is_images, read_images, split
from minift.jobs.options import check_known, check_output
from minift.jobs.pretraining.image_work import ImageWork
from minift.jobs.pretraining.masked_words import MaskedWords
from minift.jobs.pretraining.next_words import NextWords
from minift.jobs.pretraining.recipes import RECIPES, SIZES, Recipe
from minift.jobs.pretraining.sentence_order import BothTasks, SentenceOrder
from minift.jobs.pretraining.sentence_twins import SentenceTwins
from minift.jobs.pretraining.text_work import TextWork
from minift.jobs.pretraining.texts import read_corpus
from minift.jobs.pretraining.work import Work
from minift.objectives.contrastive import check_temperature
from minift.train import choose_device

JOB = "pretrain"  # as run.json calls it
TEXT_WORK: dict[str, type[TextWork]] = {
    "mlm": MaskedWords, "nsp": SentenceOrder, "bert": BothTasks, "causal": NextWords,
    "simcse": SentenceTwins,
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """What a user can say; None is decided by the recipe. At most one of the three lengths."""

    objective: str
    data: Sequence[str]
    output: Path
    model: str = "small"
    steps: int | None = None
    epochs: int | None = None
    minutes: float | None = None
    batch_size: int | None = None
    lr: float | None = None
    temperature: float | None = None
    text: str = "text"
    label: str | None = None
    seed: int = 0
    device: str = "auto"
    checkpoint_minutes: float = resuming.MINUTES
    overwrite: bool = False


@dataclass
class Plan:
    """All that a run needs, checked. `record` is the run.json of a run that goes on."""

    options: Options
    recipe: Recipe
    work: Work
    device: str
    record: dict[str, Any] | None = None


def prepare(options: Options) -> Plan:
    """Read and check everything; writes nothing.

    Raises ValueError, OSError or RuntimeError, in one sentence each, for a mistake in the options,
    the data, the model or the output folder.
    """
    recipe = recipe_of(options)
    run_folder.check_folder(options.output, options.overwrite)
    check_output(options.output, options.model)
    return Plan(options, recipe, work_of(options, recipe), choose_device(options.device))


def prepare_again(folder: Path) -> Plan | None:
    """The plan of the run in `folder`, as it was when the run began; None if it is finished.

    Writes nothing. Raises ValueError, OSError or RuntimeError if there is no such run, or if its
    data or its model are no longer what they were.
    """
    record = resuming.begun(folder, JOB)
    if resuming.is_finished(folder):
        return None
    said, where = record["options"], record["directory"]
    check_known(Options, record, folder)
    again = {
        "data": [str(resuming.said_then(word, where)) for word in said["data"]],
        "model": str(resuming.said_then(said["model"], where)),
        "output": folder,
        "device": record["machine"]["device"],
    }
    options = Options(**{**said, **again})
    recipe = recipe_of(options)
    if record["model"] is not None:
        model = fingerprint_of_model(options.model) or {}
        resuming.check_same(options.model, record["model"], model)
    work = work_of(options, recipe)
    resuming.check_same(work.source, record["data"], {"sha256": work.digest()})
    return Plan(options, recipe, work, choose_device(options.device), record)


def fingerprint_of_model(model: str) -> dict[str, Any] | None:
    """Which model a run begins with, or which config.json; None for one of our sizes."""
    if model in SIZES:
        return None
    file = Path(model)
    if file.suffix == ".json":
        return run_folder.fingerprint(file)
    return run_folder.fingerprint_of_folder(hub.resolve(model))


def recipe_of(options: Options) -> Recipe:
    """The objective's row of the table, with what the user said in it."""
    if options.objective not in RECIPES:
        raise ValueError(
            f"objective must be one of {', '.join(RECIPES)}, got {options.objective!r}"
        )
    recipe = RECIPES[options.objective]
    lengths = [name for name in ("steps", "epochs", "minutes") if getattr(options, name)]
    if len(lengths) > 1:
        raise ValueError(f"give one of --steps, --epochs and --minutes, not {len(lengths)}")
    if options.temperature is not None:
        if "temperature" not in recipe.settings:
            raise ValueError(
                f"--temperature is for contrastive losses, not for {options.objective}"
            )
        check_temperature(options.objective, options.temperature)
        settings = {**recipe.settings, "temperature": options.temperature}
        recipe = replace(recipe, settings=settings)
    if options.batch_size == 1 and "temperature" in recipe.settings:
        raise ValueError(
            f"{options.objective} compares the examples of a batch, so a batch of one has nothing "
            f"to learn from; give --batch-size 2 or more"
        )
    return replace(
        recipe,
        steps=options.steps or recipe.steps,
        batch_size=options.batch_size or recipe.batch_size,
        lr=options.lr or recipe.lr,
    )


def work_of(options: Options, recipe: Recipe) -> Work:
    """The objective on its data. Raises ValueError for data of the other kind."""
    if recipe.kind == "text":
        corpus = read_corpus(options.data, options.text, options.label, options.seed)
        kind = TEXT_WORK[options.objective]
        work: Work = kind(options.objective, recipe, corpus, options.model, options.seed)
    else:
        (word,) = one(options)
        if not is_images(word) and Path(word).exists():
            raise ValueError(f"{word} holds text; {options.objective} learns from images")
        parts = split(read_images(word), word, options.seed)
        work = ImageWork(options.objective, recipe, parts, options.model, options.seed)
    work.check()
    return work


def one(options: Options) -> Sequence[str]:
    """--data, which for images is one place."""
    if len(options.data) != 1:
        raise ValueError(f"images come from one place, but --data names {len(options.data)}")
    return options.data
