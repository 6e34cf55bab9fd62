"""`perdure film RUN`: a film of one episode, before and after a stage, side by side."""

from pathlib import Path

from perdure.agent.run.find import find_run
from perdure.budget.errors import ConfigError
from perdure.cli.commands.plan import PhaseView
from perdure.cli.console import phase_status, say, silence_libraries
from perdure.cli.output import writing

MAX_FPS = 60


def film_command(
    name: Path, stage: int | None, task: str | None, start: int | None, output: Path | None, fps: float
) -> None:
    """Write the film, by default as a GIF in the current folder.

    Raises:
        ConfigError: what is wanted is not there; a file that cannot be written here; nothing can be drawn here.
        RunError: no run, or one that cannot be filmed.
    """
    folder = find_run(name)
    if not 0 < fps <= MAX_FPS:
        raise ConfigError(f"--fps {fps:g}: frames a second, above 0 and at most {MAX_FPS}")
    silence_libraries()
    from perdure.agent.film.files import refuse_kind, write_film
    from perdure.agent.film.film import Wanted, film
    from perdure.agent.film.montage import frames_of

    if output is not None:
        refuse_kind(output)
    with phase_status() as show:
        found = film(folder, Wanted(stage, task, start), PhaseView(show))
        path = output or Path(f"{folder.name}-{found.stage}-{found.task}-{found.start}.gif")
        show("writing the film")
        with writing(path):
            write_film(frames_of(found), path, fps)
    say(f"{path}: {found.title}")
    for line in found.lines:
        say(f"  {line}")
