"""`minift generate`: a text goes on, by a model of the next token."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from minift.cli.arguments import MistakeError, add_device, chosen_device, count, whole


def add(commands: Any) -> None:
    """The command and its options."""
    command = commands.add_parser(
        "generate",
        help="let a GPT-2 go on with a text",
        description=(
            "Print the prompt and what the model makes of it, token by token. A temperature below\n"
            "1 is bolder, 0 always takes the likeliest token; top-k and top-p leave only the\n"
            "likeliest to be drawn from. The same seed gives the same text."
        ),
    )
    option = command.add_argument
    option("--model", required=True, metavar="DIR|NAME", help="a GPT-2's folder, or a run's")
    option("--prompt", required=True, metavar="TEXT", help="what the text begins with")
    option("--max-new-tokens", type=count, default=50, metavar="N", help="at most so many (50)")
    option("--temperature", type=float, default=1.0, metavar="X", help="0 or more (1)")
    option("--top-k", type=count, metavar="N", help="only the N likeliest tokens")
    option("--top-p", type=float, metavar="X", help="only the likeliest that reach X together")
    option("--seed", type=whole, default=0, metavar="N", help="of the draws (0)")
    add_device(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Generate one text."""
    from minift.models import load

    device = chosen_device(options, "generate")
    try:
        model: Any = load(options.model)
        if not hasattr(model, "generate"):
            raise ValueError(f"{options.model} holds a {model.architecture}, which makes no text")
        ids = model.to(device).generate(
            first_ids(model, options.prompt),
            max_new_tokens=options.max_new_tokens,
            temperature=options.temperature,
            top_k=options.top_k,
            top_p=options.top_p,
            seed=options.seed,
        )
    except (ValueError, OSError) as error:
        raise MistakeError(f"generate: {str(error).removeprefix('generate: ')}") from None
    print(model.tokenizer.decode(ids))
    return 0


def first_ids(model: Any, prompt: str) -> np.ndarray:
    """The prompt's ids, (T,); an empty one is the token that begins a text."""
    ids = model.own_tokenizer().encode(prompt)
    if not ids and model.config.bos_token_id is None:
        raise ValueError("the prompt is empty, and this model has no token that begins a text")
    return np.array(ids or [model.config.bos_token_id])
