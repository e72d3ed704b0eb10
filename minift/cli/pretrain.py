"""`minift pretrain`: from unlabelled text or images to a folder that `finetune` takes."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any

from minift.cli.arguments import (
    add_device,
    add_resume,
    check_resume_alone,
    count,
    folder,
    positive,
    real,
    whole,
)
from minift.cli.stopping import carry_out

OBJECTIVES = (
    "mlm", "nsp", "bert", "causal", "simcse", "autoencoder", "denoising", "vae", "gan", "simclr"
)  # fmt: skip


def add(commands: Any) -> None:
    """The command and its options."""
    command = commands.add_parser(
        "pretrain",
        help="pre-train a model on text or images without labels",
        description=(
            "Learn from data without labels, beside a baseline that says what the loss is worth;\n"
            "labels, where there are any, only judge. --data of text: .txt of any size (a text a\n"
            "line, blank lines between documents; ids lie in DIR/corpus, a twentieth is held out\n"
            "by a hash of its text), a table, glosses, moby-dick, or what `minift fetch` has;\n"
            "of images: an .npz (images, labels), a folder of PNGs (one sub-folder a class),\n"
            "digits, fashion-mnist or mnist. After a kill: minift pretrain --resume DIR"
        ),
    )
    option = command.add_argument
    option(
        "--objective", required=True, choices=OBJECTIVES, metavar="NAME", help=", ".join(OBJECTIVES)
    )
    option("--data", required=True, nargs="+", metavar="FILE|NAME", help="what to learn from")
    option("--output", required=True, type=folder, metavar="DIR", help="where the run goes")
    option("--overwrite", action="store_true", help="replace a run that DIR already holds")
    option("--model", default="small", metavar="WHAT",
           help="small, base, tiny, or the config.json or folder of such a model (small)",
           )  # fmt: skip
    option("--steps", type=count, metavar="N", help="updates (by objective)")
    option("--epochs", type=count, metavar="N", help="passes over the data, instead of steps")
    option("--minutes", type=positive, metavar="X", help="about so long, instead of steps")
    option("--batch-size", type=count, metavar="N", help="images or texts a batch (by objective)")
    option("--lr", type=positive, metavar="X", help="peak learning rate (by objective)")
    option("--temperature", type=real, metavar="X", help="of contrastive losses (by objective)")
    option("--text", default="text", metavar="COLUMN", help="a table's column of texts (text)")
    option("--label", metavar="COLUMN", help="a table's column of labels to judge by (label)")
    option("--seed", type=whole, default=0, metavar="N", help="of weights and order (0)")
    add_resume(command)
    add_device(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Pre-train, or go on."""
    from minift.jobs import pretraining

    def prepare() -> Any:
        if options.resume is None:
            return pretraining.prepare(asked(options))
        check_resume_alone(options.command)
        return pretraining.prepare_again(options.resume)

    return carry_out(options, prepare, lambda plan: pretraining.run(plan, options.command))


def asked(options: argparse.Namespace) -> Any:
    """The options of a new run."""
    from minift.jobs.pretraining import Options

    names = (field.name for field in fields(Options))
    return Options(**{name: getattr(options, name) for name in names})
