"""`perdure answers RUN`: what the model answered before and after, item by item."""

import sys
from pathlib import Path

from rich.console import Console

from perdure.agent.run.answers import answers_object, run_answers, scored_stage
from perdure.agent.run.find import find_run, read_run
from perdure.cli.console import json_text, print_lines, reader_may_leave, symbols_and_width
from perdure.cli.views.answers import answer_lines


def answers_command(path: Path, task: str | None, stage: int | None, limit: int, *, changed: bool, json: bool) -> None:
    """Print the items of a run, those that were lost or gained since the base first.

    Raises:
        RunError: there is no such run, task or stage.
    """
    folder = find_run(path)
    record, _ = read_run(folder)
    row, columns = scored_stage(record, stage), run_answers(record, folder, task, stage)
    with reader_may_leave():
        if json:
            print(json_text(answers_object(record, row, columns)))
            return
        console = Console(file=sys.stdout, highlight=False)
        print_lines(answer_lines(columns, row, limit, *symbols_and_width(console), changed=changed), console)
