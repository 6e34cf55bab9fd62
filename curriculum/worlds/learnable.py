"""Which methods can learn a task: the one answer, whether the file alone is known or the data, too."""

from collections.abc import Sequence

from perdure.curriculum.messages import one_of
from perdure.curriculum.task import Task
from perdure.curriculum.worlds.contract import Facts, Method, MethodSpec, WorldSpec


def facts_of(task: Task) -> Facts:
    """The facts of a task whose data is known."""
    return Facts(task.has_demonstrations, task.reward is not None)


def needs_of(method: Method | MethodSpec) -> str:
    """What a task must have for a method, as words: `demonstrations and a reward`."""
    words = (("demonstrations", "demonstrations"), ("reward", "a reward"))
    return " and ".join(word for need, word in words if need in method.needs)


def lacking(method: Method, facts: Facts) -> tuple[str, ...]:
    """What a method needs and a task is known not to have: `demonstrations`, `reward`."""
    lacks = (("demonstrations", facts.demonstrations), ("reward", facts.reward))
    return tuple(need for need, there in lacks if need in method.needs and there is False)


def learnable_by(spec: WorldSpec, facts: Facts, names: Sequence[str] | None = None) -> tuple[str, ...]:
    """The methods, of `names` or of all that have a name, that can learn a task of which these facts are known."""
    methods = [spec.method(name) for name in (spec.names if names is None else names)]
    return tuple(one.name for one in methods if not lacking(one, facts))


def refusal(spec: WorldSpec, method: Method, facts: Facts) -> str | None:
    """Why a method cannot learn a task, how the task comes by what is lacking, and which methods can; or `None`."""
    lacks = lacking(method, facts)
    if not lacks:
        return None
    sources = {"demonstrations": spec.demonstrations_from, "reward": spec.reward_from}
    missing = " and no ".join(f"{need} ({sources[need]})" for need in lacks)
    able = learnable_by(spec, facts)
    remedy = f"it can be learned by {one_of(able)}" if able else "it cannot be learned at all"
    return f"method {method.name!r} needs {needs_of(method)}, and the task has no {missing}; {remedy}"
