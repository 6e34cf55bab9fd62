"""The same stream by perdure and by its peers: language by TRL and lm-eval, and digits by Avalanche where it is."""

from tests.bench.figures import Options, Report, UnmeasuredError
from tests.bench.peers import digits, race

__all__ = ["measure"]


def measure(options: Options) -> Report:
    """Both races; where there is no Avalanche a note says so."""
    language = race.measure(options)
    try:
        images = digits.measure(options)
    except UnmeasuredError as error:
        images = Report(notes=(f"Avalanche: not measured, {error}",))
    return Report(language.figures + images.figures, language.notes + images.notes)
