"""Terms beside a method's loss: once a step, in the reported loss, steered, kept in checkpoints, and at work."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from perdure.agent.seeds import derive
from perdure.agent.weights import digest, trainable
from perdure.agent.worlds.contract import Progress, UpdateJob
from perdure.agent.worlds.language.methods.terms import Terms, kl_loss, terms_of
from perdure.agent.worlds.terms import KlTerm, Penalty, Quadratic, quadratic
from perdure.budget.config import PenaltyConfig
from perdure.budget.errors import ConfigError
from perdure.budget.estimate import per_token
from perdure.budget.penalty import Controller
from tests.agent.worlds.language.jobs import job_of, settings_of, update
from tests.agent.worlds.language.tiny_world import BASE_GROUPS, tiny_lora_policy, tiny_policy, with_base
from tests.agent.worlds.language.toy import toy_task

QUICK: dict[str, Any] = {"learning_rate": 3e-3, "warmup_steps": 0, "per_device_train_batch_size": 8, "max_steps": 6}
SAMPLING: dict[str, Any] = {"num_generations": 4, "max_completion_length": 6}


def controller(weight: float = 5.0, cap: float = 1e-4) -> Controller:
    return Controller(PenaltyConfig(target=1.0, rate=0.2, num_prompts=3), cap, weight)


class Run:
    """One update of a policy beside its base, with or without a penalty."""

    def __init__(
        self, folder: Path, *, penalty: Controller | None = None, make: Callable[[], Any] = tiny_policy
    ) -> None:
        self.policy, self.folder, self.penalty = with_base(make()), folder, penalty
        self.seen: list[tuple[Progress, float | None, str]] = []

    def job(self, method: str, **more: Any) -> UpdateJob:
        settings = settings_of(method, **(QUICK | SAMPLING | more))
        task, texts = toy_task(16), BASE_GROUPS
        return job_of(method, self.policy, task, self.folder, settings, texts=texts, controller=self.penalty)

    def update(self, method: str, until: int = 99, *, kill: bool = False, **more: Any) -> None:
        def watch(progress: Progress) -> bool:
            weight = self.penalty.weight if self.penalty else None
            self.seen.append((progress, weight, digest(trainable(self.policy.model))))
            if progress.step == until and kill:
                raise KeyboardInterrupt
            return progress.step == until

        update(replace(self.job(method, **more), watch=watch))

    @property
    def kl(self) -> float:
        return per_token(self.policy.base.texts.measure(BASE_GROUPS).kl_base_to_policy).value


class Square:
    """The loss θ², as an object of texts of the base would be; counts how often it is asked."""

    def __init__(self, parameter: Tensor) -> None:
        self.parameter, self.asked = parameter, 0

    def backward(self, step: int, weight: float, backward: Callable[[Tensor], None]) -> Tensor:
        self.asked += 1
        value = (self.parameter**2).sum()
        if weight:
            backward(weight * value)
        return value.detach()


def trainer_at(step: int) -> Any:
    """As much of a trainer as the terms look at."""
    return SimpleNamespace(
        state=SimpleNamespace(global_step=step),
        accelerator=SimpleNamespace(backward=Tensor.backward),
    )


def test_a_term_counts_once_a_step_however_many_batches_it_has() -> None:
    """θ = 3: the term is 0.5 · 9 = 4.5, its gradient 0.5 · 2 · 3 = 3. Two steps, of three batches and of one."""
    theta = torch.tensor([3.0], requires_grad=True)
    terms = Terms([KlTerm(square := Square(theta), 0.5)])
    trainer = trainer_at(0)
    added = [float(one) for _ in range(3) for one in terms.add(trainer)]
    assert (square.asked, float(theta.grad or 0), added) == (1, 3.0, [4.5])
    trainer.state.global_step = 1
    added = [float(one) for one in terms.add(trainer)]
    assert (square.asked, float(theta.grad or 0), added) == (2, 6.0, [4.5])


def test_a_penalty_steers_by_the_kl_of_its_own_gradient() -> None:
    """Dual ascent at rate 0.2, target 4: KL 9 raises 0.5 by 0.2 · (9/4 - 1) = 0.25. At weight 0 it is measured too."""
    theta = torch.tensor([3.0], requires_grad=True)
    steered = controller(weight=0.5, cap=4.0)
    terms = Terms([Penalty([Square(theta)], steered)], steered)
    terms.steer()
    assert terms.weight == 0.5  # nothing measured yet
    trainer = trainer_at(0)
    assert list(map(float, terms.add(trainer))) == [4.5]
    terms.steer()
    assert terms.weight == pytest.approx(0.75)
    terms.put_back(0.0)
    theta.grad = None
    trainer.state.global_step = 1
    assert list(map(float, terms.add(trainer))) == [0]
    terms.steer()
    assert theta.grad is None
    assert terms.weight == pytest.approx(0.25)


def test_a_penalty_on_both_sides_steers_by_the_larger_kl() -> None:
    """KLs 9 and 1, at weight 0.5 a term of 5 with the gradients 3 and 1; steered by 9 as above, in either order."""
    for sides in ((3.0, 1.0), (1.0, 3.0)):
        thetas = [torch.tensor([one], requires_grad=True) for one in sides]
        steered = controller(weight=0.5, cap=4.0)
        terms = Terms([Penalty([Square(theta) for theta in thetas], steered)], steered)
        assert list(map(float, terms.add(trainer_at(0)))) == [5.0]
        assert [float(theta.grad or 0) for theta in thetas] == list(sides)
        terms.steer()
        assert terms.weight == pytest.approx(0.75)


def test_the_quadratic_by_hand() -> None:
    """Moved by (1, -2) with F = (3, 0.5): 3 · 1 + 0.5 · 4 = 5, without F 1 + 4 = 5. At weight 4: 10, gradient 4 F Δ."""
    start, fisher = torch.tensor([1.0, 1.0]), torch.tensor([3.0, 0.5])
    assert float(quadratic(torch.tensor([2.0, -1.0]), start, fisher)) == 5
    assert float(quadratic(torch.tensor([2.0, -1.0]), start, None)) == 5
    with pytest.raises(ValueError, match="must have the parameter's shape"):
        quadratic(torch.zeros(2), torch.zeros(3), None)
    model = torch.nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(start[None])
    term = Quadratic(model, 4.0, lambda: {"weight": fisher[None]})
    term.begin()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[2.0, -1.0]]))
    assert float(term.add(0, Tensor.backward)) == 10
    assert model.weight.grad is not None
    assert model.weight.grad.tolist() == [[12.0, -4.0]]


@pytest.mark.parametrize("method", ["sft", "rl"])
def test_a_penalty_holds_the_policy_nearer_to_the_base(method: str, tmp_path: Path) -> None:
    kls = []
    for number, penalty in enumerate((None, controller())):
        run = Run(tmp_path / str(number), penalty=penalty)
        run.update(method)
        kls.append(run.kl)
    assert kls[1] < 0.7 * kls[0]


@pytest.mark.parametrize("method", ["sft", "rl"])
def test_a_penalty_of_weight_zero_changes_no_bit(method: str, tmp_path: Path) -> None:
    """It is measured at every step, and still nothing is drawn from the generators or left in the gradients."""
    plain, zero = Run(tmp_path / "a"), Run(tmp_path / "b", penalty=controller(weight=0.0, cap=100.0))
    for run in (plain, zero):
        run.update(method)
    assert [(progress, weights) for progress, _, weights in zero.seen] == [
        (progress, weights) for progress, _, weights in plain.seen
    ]
    assert {weight for _, weight, _ in zero.seen} == {0.0}


@pytest.mark.parametrize(("method", "make"), [("sft", tiny_policy), ("rl", tiny_policy), ("sft", tiny_lora_policy)])
def test_resumed_with_a_penalty_equals_undisturbed(method: str, make: Callable[[], Any], tmp_path: Path) -> None:
    whole = Run(tmp_path / "whole", penalty=controller(), make=make)
    whole.update(method, save_steps=2)
    killed = Run(tmp_path / "killed", penalty=controller(), make=make)
    with pytest.raises(KeyboardInterrupt):
        killed.update(method, until=5, kill=True, save_steps=2)
    resumed = Run(tmp_path / "killed", penalty=controller(weight=99.0), make=make)
    resumed.update(method, save_steps=2)
    assert resumed.seen == whole.seen[4:]
    assert len({weight for _, weight, _ in whole.seen}) == 6
    again = Run(tmp_path / "killed", penalty=(last := controller()), make=make)
    again.update(method, save_steps=2)
    assert (again.seen, last.weight) == ([], whole.seen[-1][1])


def test_with_lora_only_the_adapter_moves(tmp_path: Path) -> None:
    run = Run(tmp_path, penalty=controller(), make=tiny_lora_policy)
    run.update("sft")
    frozen = {name: one for name, one in run.policy.model.named_parameters() if not one.requires_grad}
    untouched = dict(tiny_lora_policy().model.named_parameters())
    assert frozen
    assert all(torch.equal(tensor, untouched[name]) for name, tensor in frozen.items())


@pytest.mark.parametrize("batches", [1, 2])
def test_the_reported_loss_holds_the_term_once(batches: int, tmp_path: Path) -> None:
    """A step away from the base, the first loss with `beta` 3 is that without it plus 3 KL of that step's texts."""
    losses, kls = [], []
    for beta in (0.0, 3.0):
        run = Run(tmp_path / f"{beta}")
        with torch.no_grad():
            for parameter in run.policy.model.parameters():
                parameter.mul_(1.2)
        term = kl_loss(run.job("sft"), seed=derive(5, "sft_kl"))
        kls.append(float(term.backward(0, 0.0, Tensor.backward)))
        more = {"per_device_train_batch_size": 8 // batches, "gradient_accumulation_steps": batches}
        if beta:
            run.update("sft_kl", until=1, sft_kl={"beta": beta}, **more)
        else:
            run.update("sft", until=1, **more)
        losses.append(run.seen[0][0].loss or 0.0)
    assert losses[1] - losses[0] == pytest.approx(3 * kls[0], rel=1e-3)
    assert kls[0] > 1e-3


def test_a_term_without_texts_of_the_base_is_refused() -> None:
    for policy, texts in ((tiny_policy(), BASE_GROUPS), (with_base(tiny_policy()), ())):
        with pytest.raises(ConfigError, match="none were sampled"):
            terms_of(
                job_of("sft", policy, toy_task(), Path(), settings_of("sft"), texts=texts, controller=controller())
            )
