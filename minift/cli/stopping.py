"""What `finetune`, `pretrain` and `search` have in common: runs that may be stopped and go on.

Not here: what the job is. Each command prepares its own plan and runs it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from minift.cli.arguments import EXIT_FAILURE, EXIT_INTERRUPTED, MistakeError
from minift.jobs.folder import is_run


def carry_out(
    options: argparse.Namespace, prepare: Callable[[], Any], run: Callable[[Any], object]
) -> int:
    """Prepare a plan and run it; returns the exit code.

    `prepare` checks everything and writes nothing; what it cannot read or take is one sentence, and
    None stands for a run that is finished. Ctrl-C, a full disk or a rate that was too high leave
    whole files behind, and a line that says how to go on.
    """
    name, output = options.command[1], options.resume or options.output
    try:
        plan = prepare()
    except (ValueError, RuntimeError, OSError) as error:
        raise MistakeError(f"{name}: {error}") from None
    if plan is None:
        print(f"{output} holds a finished run: its numbers are in metrics.json")
        return 0
    try:
        run(plan)
        return 0
    except KeyboardInterrupt:
        reason, code = "interrupted", EXIT_INTERRUPTED
    except BrokenPipeError:
        raise
    except (OSError, RuntimeError, ValueError) as error:
        reason, code = f"{name}: {error}", EXIT_FAILURE
    if is_run(output):
        holds = sorted(path.name for path in output.iterdir())
        reason += (
            f"; {output} holds: {', '.join(holds)}; go on with: minift {name} --resume {output}"
        )
    print(f"\nminift: {reason}", file=sys.stderr)
    return code
