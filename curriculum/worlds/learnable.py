"""Decides which methods can learn a task, by the file alone or by its data."""

from collections.abc import Sequence

from perdure.curriculum.messages import one_of
from perdure.curriculum.task import Task
from perdure.curriculum.worlds.contract import Facts, WorldSpec
from perdure.curriculum.worlds.methods import Method, MethodSpec


def facts_of(task: Task) -> Facts:
    """The facts of a task whose data is known."""
    without = len(task.train) - task.demonstrated
    some = 0 < without < len(task.train)
    return Facts(task.has_demonstrations, task.reward is not None, not task.is_played, without if some else 0)


def needs_of(method: Method | MethodSpec) -> str:
    """The needs of a method as words: `demonstrations and a reward`."""
    words = (("demonstrations", "demonstrations"), ("reward", "a reward"))
    return " and ".join(word for need, word in words if need in method.needs)


def lacking(method: Method, facts: Facts) -> tuple[str, ...]:
    """The needs of a method that a task is known not to meet: `demonstrations`, `reward`, `single_answers`."""
    lacks = (
        ("demonstrations", facts.demonstrations),
        ("reward", facts.reward),
        ("single_answers", facts.single_answers),
    )
    return tuple(need for need, there in lacks if need in method.needs and there is False)


def learnable_by(spec: WorldSpec, facts: Facts, names: Sequence[str] | None = None) -> tuple[str, ...]:
    """The methods, of `names` or of all named ones, that can learn a task with these facts."""
    methods = [spec.method(name) for name in (spec.names if names is None else names)]
    return tuple(one.name for one in methods if not lacking(one, facts))


def task_refusal(spec: WorldSpec, method: Method, facts: Facts) -> str | None:
    """The reason why a method cannot learn a task, with the remedy and the methods that can; `None` if it can."""
    lacks = lacking(method, facts)
    if not lacks:
        return None
    able = learnable_by(spec, facts)
    remedy = f"it can be learned by {one_of(able)}" if able else "it cannot be learned at all"
    if "single_answers" in lacks:
        return f"method {method.name!r} reads one answer to a prompt, and this task is played in turns; {remedy}"
    if "demonstrations" in lacks and facts.undemonstrated:
        return (
            f"method {method.name!r} needs a demonstration of every training item of the task, and "
            f"{facts.undemonstrated} have none: {spec.undemonstrated}, or take another method; {remedy}"
        )
    sources = {"demonstrations": spec.demonstrations_from, "reward": spec.reward_from}
    missing = " and no ".join(f"{need} ({sources[need]})" for need in lacks)
    return f"method {method.name!r} needs {needs_of(method)}, and the task has no {missing}; {remedy}"
