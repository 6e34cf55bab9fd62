"""Templates of task files are compiled once, and each document is rendered by itself."""

from jinja2 import StrictUndefined

from perdure.eval.lm_eval.templates import Sandbox


def test_a_template_is_compiled_once_and_rendered_for_each_document() -> None:
    sandbox = Sandbox(undefined=StrictUndefined)
    first = sandbox.from_string("{% set n = a + 1 %}{{ n }}")
    assert sandbox.from_string("{% set n = a + 1 %}{{ n }}") is first
    assert [first.render(a=1), first.render(a=5)] == ["2", "6"]
    assert sandbox.from_string("{{ a }}").render(a=1) == "1"
    assert sandbox.from_string("{{ a }}", globals={"a": 3}).render() == "3"
    assert sandbox.from_string("{{ a }}", globals={"a": 4}).render() == "4"
