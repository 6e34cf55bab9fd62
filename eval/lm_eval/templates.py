"""The templates and filters of lm-eval's task files: in jinja's sandbox, and within limits."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from jinja2 import Template
from jinja2.sandbox import SandboxedEnvironment

from perdure.budget.errors import ConfigError
from perdure.curriculum.limits import memory_limit, time_limit

SECONDS = 10.0
"""Seconds of a processor for a template of one document, and for a task's filters whatever they are given."""
SECONDS_AN_ANSWER = 0.1
"""Seconds more for each answer that a task's filters are given."""
MEMORY = 2 * 2**30
"""Bytes that a template or the filters may take, where Linux counts them."""
TEMPLATES = 256
"""Templates that are kept compiled; some tasks write one a document."""


class LimitedTemplate(Template):
    """A template that ends."""

    def render(self, *arguments: Any, **documents: Any) -> str:
        """The text. Raises as `limited`."""
        with limited("a template of the task file", SECONDS):
            return super().render(*arguments, **documents)


class Sandbox(SandboxedEnvironment):
    """jinja's sandbox, with limits for what is computed while a template is compiled (its constants), and rendered.

    lm-eval asks for a task's templates again for every document; each is compiled once.
    """

    template_class = LimitedTemplate

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._compiled = lru_cache(TEMPLATES)(self._compile_limited)

    def from_string(self, source: Any, *arguments: Any, **more: Any) -> Template:
        """The template. Raises as `limited`."""
        known = isinstance(source, str) and not arguments and not more
        return self._compiled(source) if known else self._compile_limited(source, *arguments, **more)

    def _compile_limited(self, *arguments: Any, **more: Any) -> Template:
        with limited("a template of the task file", SECONDS):
            return super().from_string(*arguments, **more)


def sandbox_templates() -> None:
    """Have lm-eval's templates rendered in jinja's sandbox: they come from task files and reach nothing else."""
    from lm_eval import utils

    if not isinstance(utils.env, SandboxedEnvironment):
        sandbox = Sandbox(loader=utils.env.loader, undefined=utils.env.undefined)
        sandbox.filters |= utils.env.filters
        sandbox.keep_trailing_newline = utils.env.keep_trailing_newline
        utils.env = sandbox


@contextmanager
def limited(what: str, seconds: float) -> Iterator[None]:
    """Ends the block after so many seconds of a processor, or beyond `MEMORY`; only in the main thread.

    Raises:
        ConfigError: it took too much.
    """
    try:
        with memory_limit(MEMORY), time_limit(seconds):
            yield
    except TimeoutError:
        raise ConfigError(f"{what} has not ended after {seconds:g} s of a processor; write one that does") from None
    except MemoryError:
        raise ConfigError(f"{what} takes more than {MEMORY // 2**30} GiB; write one that takes less") from None
