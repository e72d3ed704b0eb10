"""What a fine-tuning says: what it read, how it goes, what came of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from minift.data.tables import count
from minift.jobs.classifiers import describe_loading
from minift.models import BertConfig
from minift.train import Callback, Trainer
from minift.train.progress import duration

if TYPE_CHECKING:
    from minift.jobs.finetuning import Plan
    from minift.jobs.options import TrainingOptions
    from minift.jobs.recipe import Recipe

NAMES = {
    "macro_f1": "macro-F1",
    "micro_f1": "micro-F1",
    "exact_match": "exact match",
    "r2": "R²",
    "mean_absolute_error": "mean abs. error",
    "spearman": "Spearman",
    "auc": "AUC",
    "average_precision": "average precision",
    "calibration_error": "calibration error",
    "naive_bayes": "naive Bayes",
    "mean": "mean of the labels",
    "linear_probe": "linear probe",
    "nearest_neighbours": "5 neighbours",
}
NEVER_CUT = "gradients not cut"
LINES = 12  # of epochs; of more only some are shown


def announce(plan: Plan) -> list[str]:
    """The data, the model and the recipe, before anything happens."""
    examples, parts, recipe = plan.examples, plan.parts, plan.recipe
    first = count(len(examples) + examples.empty, "row")
    lines = [f"{examples.source}: {first}"]
    lines += [f"  {line}" for line in plan.classifier.task.describe(plan.targets)]
    lines += [f"  {line}" for line in remarks(plan)]
    lines.append(
        f"  {len(parts.train):,} to train, {len(parts.validation):,} to choose the best epoch, "
        f"{len(parts.test):,} to test"
    )
    lines.append(f"{plan.options.model}: {describe_loading(plan.classifier.model, plan.kept_head)}")
    lines.append(
        f"strategy {recipe.strategy}, at most {count(recipe.epochs, 'epoch')}, learning rate "
        f"{rates(recipe)}, about {recipe.batch_size} texts a batch{a_step(plan.options)}, on "
        f"{plan.device}"
    )
    more = [*remedies(plan.options), *besides(plan.options), *about_pooling(plan)]
    lines += [f"  {line}" for line in more]
    return lines


def rates(recipe: Recipe) -> str:
    """The peak rate, and that of the head if it has its own."""
    same = recipe.head_lr == recipe.lr
    return f"{recipe.lr:.2g}" + ("" if same else f" (the head's {recipe.head_lr:.2g})")


def a_step(options: TrainingOptions) -> str:
    """How many batches make up a step, if it is not one."""
    return f", {options.accumulate} batches a step" if options.accumulate > 1 else ""


def about_pooling(plan: Plan) -> list[str]:
    """What a reader should know of how the model reads a text off its tokens."""
    config = plan.classifier.model.config
    if not isinstance(config, BertConfig):  # a decoder is read off its last token
        return []
    if config.classifier_pooling == "mean":
        return ["the text is the mean of its tokens: minift opens the model, transformers refuses"]
    if plan.recipe.strategy == "head":
        return [
            "features are those of the first token; a model that was trained for sentence vectors "
            "is better read with --pooling mean"
        ]
    return []


def remedies(options: TrainingOptions) -> list[str]:
    """What is done about uneven classes, in a line if anything is."""
    chosen = [
        (options.balanced, "classes weighed"),
        (options.focal, "focal loss"),
        (options.oversample, "rows of rare classes several times an epoch"),
        (options.move_threshold, "thresholds moved on the validation part"),
    ]
    done = ", ".join(words for on, words in chosen if on)
    return [f"against uneven classes: {done}"] if done else []


def besides(options: TrainingOptions) -> list[str]:
    """What else was asked of the training, in a line if anything was."""
    chosen = [
        (options.freeze, f"{' '.join(options.freeze)} held fast"),
        (options.ema is not None, f"weights averaged ({options.ema} stays in a step)"),
        (options.recompute, "blocks recomputed on the way back"),
        (options.clip != 1.0, f"gradients cut at {options.clip:g}" if options.clip else NEVER_CUT),
    ]
    said = ", ".join(words for on, words in chosen if on)
    return [said] if said else []


def remarks(plan: Plan) -> list[str]:
    """What a reader should know of the rows."""
    examples, limit = plan.examples, plan.classifier.max_length
    repeated = len(examples) - len(set(examples.groups.tolist()))
    cut = int((plan.lengths > limit).sum())
    lines = []
    if examples.empty:
        lines.append(f"{count(examples.empty, 'row')} with an empty text left out")
    if repeated:
        lines.append(
            f"{count(repeated, 'row')} repeat{'s' if repeated == 1 else ''} an earlier text; all "
            f"copies of a text stay in one part"
        )
    if cut:
        lines.append(f"{count(cut, 'text')} cut at {limit} tokens (--max-length)")
    return lines


class EpochLines(Callback):
    """A line after each epoch, or, of many, after some."""

    def __init__(self, epochs: int):
        self.epochs, self.done = epochs, 0

    def on_fit_start(self, trainer: Trainer) -> None:
        self.done = len(trainer.history.evaluations)  # of a resumed run

    def on_evaluate(self, trainer: Trainer) -> None:
        from tqdm import tqdm

        self.done += 1
        if self.done % max(1, self.epochs // LINES) == 0 or self.done == 1:
            numbers = trainer.history.evaluations[-1]
            shown = [
                f"{name.replace('_', ' ')} {value:.3f}"
                for name, value in numbers.items()
                if name not in ("step", "validation_count")
            ]
            tqdm.write(f"epoch {self.done} of {self.epochs}: {', '.join(shown)}")


class ReadingLines:
    """How far the frozen body has read: a bar on a terminal, a line every few seconds elsewhere."""

    def __init__(self, texts: int, seconds: float = 5.0, what: str = "text"):
        from tqdm import tqdm

        self.texts, self.seconds, self.read, self.what = texts, seconds, 0, what
        self.started = self.said = time.perf_counter()
        label = f"reading every {what} once with the frozen body"
        on_terminal = sys.stdout.isatty()
        self.bar = tqdm(total=texts, desc=label, file=sys.stdout, disable=not on_terminal)
        if not on_terminal:
            print(label, flush=True)

    def __call__(self, more: int) -> None:
        self.read += more
        self.bar.update(more)
        now = time.perf_counter()
        if self.bar.disable and now - self.said >= self.seconds:
            self.said = now
            left = (now - self.started) / self.read * (self.texts - self.read)
            progress = f"{self.read:,} of {self.texts:,} {self.what}s read"
            print(f"{progress}, {duration(left)} left", flush=True)
        if self.read == self.texts:
            self.bar.close()


def conclude(plan: Plan, results: dict[str, Any]) -> str:
    """The table and where everything lies."""
    output, task = plan.options.output, plan.classifier.task
    part = next((name for name in ("test", "validation") if name in results), None)
    lines = []
    if part is not None:
        lines += [judged_on(results, part, "row"), ""]
        ours = {"fine-tuned": results[part], **results["baselines"]}
        lines += [table(task.headline, ours), ""]
        lines += [intervals(results[part]), ""]
    lines += findings(results)
    files = ", ".join(sorted(path.name for path in output.iterdir()))
    lines.append(f"{output} holds {files}; try:")
    pair = f" --text-pair-column {plan.options.text_pair}" if plan.options.text_pair else ""
    lines.append(
        f"  minift predict --model {output} --data {plan.examples.source} --text-column "
        f"{plan.options.text}{pair}"
    )
    return "\n".join(lines)


def findings(results: dict[str, Any]) -> list[str]:
    """What was moved, what was frozen, what was forgotten and what is suspicious."""
    found = []
    if results["moved_thresholds"]:
        moved = ", ".join(f"{name} {x:+.2f}" for name, x in results["moved_thresholds"].items())
        found.append(f"Thresholds moved by adding to the scores: {moved}")
    if results["frozen"]["tensors"]:
        found.append(frozen(results["frozen"]))
    found.append(forgetting(results["forgetting"]))
    if results.get("warning"):
        found.append(results["warning"])
    return [line for sentence in found for line in (sentence, "")]


def judged_on(results: dict[str, Any], part: str, what: str) -> str:
    """On how many rows of which part, and with the weights of which epoch."""
    rows, best = results["rows"][part], results["best_epoch"]
    note = "" if part == "test" else ", which also chose the best epoch: take it with salt"
    chosen = f", with the weights of epoch {best} of {results['epochs']}" if best else ""
    return f"On {count(rows, f'{part} {what}')}{chosen}{note}:"


def frozen(proof: dict[str, Any]) -> str:
    """The proof of what stayed as it was, in a sentence."""
    return (
        f"Frozen: {proof['values']:,} of {proof['of']:,} values, bit for bit what they were "
        f"(SHA-256 {proof['sha256'][:12]}…), without a gradient in {proof['steps']:,} steps"
    )


def forgetting(found: dict[str, Any]) -> str:
    """What fine-tuning cost the body, in a sentence."""
    if "unknown" in found:
        return f"Forgetting: not measured, {found['unknown']}"
    before, after = found["before"], found["after"]
    if "images" in found:
        return (
            f"Forgetting: loss at {found['objective']}, {found['images']} held-out images "
            f"{before:.4f} before, {after:.4f} after ({after - before:+.4f})"
        )
    return (
        f"Forgetting: loss on hidden words of {found['texts']} WordNet definitions {before:.3f} "
        f"before, {after:.3f} after ({after - before:+.3f} nats)"
    )


def table(headline: Sequence[str], rows: dict[str, dict[str, Any]]) -> str:
    """One line a model: its headline numbers."""
    lines = [" " * 20 + "".join(f"{NAMES.get(name, name):>17}" for name in headline)]
    for name, scores in rows.items():
        numbers = "".join(f"{number(scores[key]):>17}" for key in headline)
        lines.append(f"{NAMES.get(name, name):<20}{numbers}")
    return "\n".join(lines)


def number(value: float | None) -> str:
    """Three digits; a dash for what is not defined."""
    return "-" if value is None else f"{value:.3f}"


def judged(headline: Sequence[str], results: dict[str, Any]) -> list[str]:
    """What a judgement found, in lines: the table, the intervals, the classes, the warning."""
    lines = [table(headline, {"": results}), "", intervals(results)]
    if "per_class" in results:
        lines += ["", per_class(results["per_class"])]
    return [*lines, "", results["warning"]] if results["warning"] else lines


def intervals(scores: dict[str, Any]) -> str:
    """A line for each number that has one."""
    lines = [f"{'':<20}{'value':>8}   95 % interval over the rows"]
    for name in names_with_interval(scores):
        low, high = scores[f"{name}_interval"]
        shown = NAMES.get(name, name)
        lines.append(f"{shown:<20}{number(scores[name]):>8}   {low:.3f} to {high:.3f}")
    return "\n".join(lines)


def names_with_interval(scores: dict[str, Any]) -> Iterator[str]:
    """The numbers of which an interval is known."""
    there = (key for key, value in scores.items() if key.endswith("_interval") and value)
    return (key.removesuffix("_interval") for key in there)


def per_class(scores: dict[str, dict[str, float]]) -> str:
    """One line a class: precision, recall, F1 and how many rows have it."""
    width = max(5, *(len(name) for name in scores))
    lines = [f"{'class':<{width}}  precision  recall     F1   rows"]
    for name, row in scores.items():
        lines.append(
            f"{name:<{width}}  {row['precision']:9.3f}  {row['recall']:6.3f}  {row['f1']:5.3f}  "
            f"{row['support']:5,}"
        )
    return "\n".join(lines)
