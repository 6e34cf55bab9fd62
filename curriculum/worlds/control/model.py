"""The policies of the control world."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from perdure.budget.bounds import Batch, Items, Level, Rate, Steps, Units, Weight
from perdure.budget.config import Frozen, broken_rule
from perdure.curriculum.messages import Path
from perdure.curriculum.worlds.contract import ModelSection, Source
from perdure.curriculum.worlds.control.tasks import Gymnasium
from perdure.curriculum.worlds.control.vla import TokenPolicy, Vla, Worker
from perdure.curriculum.worlds.lora import refuse_second_adapter
from perdure.curriculum.worlds.methods import Method

MAX_LAYERS = 64
VLA_TYPES = ("vla", "worker")


class Mlp(Frozen):
    """A small network on vectors: a shared trunk, and one categorical head a dimension of the action."""

    type: Annotated[Literal["mlp"], Field(description="a multi-layer perceptron on vectors")] = "mlp"
    hidden_sizes: Annotated[
        list[Annotated[Units, Field(ge=1)]],
        Field(min_length=1, max_length=MAX_LAYERS, description="units of each hidden layer"),
    ] = [128, 128, 128]

    @property
    def title(self) -> str:
        """`the mlp of 128, 128 and 128 hidden units`."""
        return f"the mlp of {' and '.join(map(str, self.hidden_sizes))} hidden units"


class Transformer(Frozen):
    """A small transformer on the patches of an image and the words of an instruction."""

    type: Annotated[Literal["transformer"], Field(description="a transformer on images and instructions")]
    hidden_size: Annotated[Units, Field(ge=1, description="width")] = 64
    num_hidden_layers: Annotated[Level, Field(ge=1, le=MAX_LAYERS, description="layers")] = 2
    num_attention_heads: Annotated[Level, Field(ge=1, description="attention heads; they divide the width")] = 4
    patch_size: Annotated[Level, Field(ge=1, description="height and width of a patch")] = 1

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> "Transformer":
        if self.hidden_size % self.num_attention_heads:
            raise broken_rule(f"must divide `hidden_size`, {self.hidden_size}", "num_attention_heads")
        return self

    @property
    def title(self) -> str:
        """`the transformer of 2 layers, 64 wide`."""
        return f"the transformer of {self.num_hidden_layers} layers, {self.hidden_size} wide"


class Known(Frozen):
    """A task that the base is pretrained on, by demonstrations of its own starts."""

    task: Annotated[Gymnasium, Field(description="the task, with `demonstrations`; its held-out starts are left alone")]
    episodes: Annotated[Items, Field(ge=1, description="successful episodes to imitate")] = 40

    @model_validator(mode="after")
    def _has_demonstrations(self) -> "Known":
        if self.task.demonstrations is None:
            raise broken_rule("the base imitates: give the task `demonstrations`", "task", "demonstrations")
        return self


class Pretrain(Frozen):
    """Pretraining of the base at the start of a run: behaviour cloning on what must be kept, by AdamW."""

    tasks: Annotated[
        list[Known],
        Field(
            min_length=1,
            description="what the base can do: tasks that must be kept, and a few episodes of the new one, so that "
            "reinforcement learning has something to reinforce",
        ),
    ]
    max_steps: Annotated[Steps, Field(ge=1, description="optimiser steps")] = 2000
    per_device_train_batch_size: Annotated[Batch, Field(ge=1, description="decisions a step")] = 128
    learning_rate: Annotated[Rate, Field(gt=0, description="AdamW's peak; half a cosine takes it to 0")] = 1e-3
    weight_decay: Annotated[Weight, Field(ge=0, description="AdamW's weight decay")] = 0.0


class ControlModel(ModelSection):
    """A policy of robots and games, whose actions have exact distributions: the control world."""

    WORLD: ClassVar[str] = "control"

    type: Annotated[Literal["control"], Field(description="a policy of gymnasium environments")]
    policy: Annotated[
        Mlp | Transformer | Vla | Worker,
        Field(discriminator="type", description="the network that chooses the actions"),
    ] = Mlp()
    bins: Annotated[
        Level,
        Field(
            ge=2,
            description="values of each dimension of a continuous action, evenly spaced, both ends included; KL "
            "depends on it, and is larger with more; of a VLA 256 by default",
        ),
    ] = 21
    pretrain: Annotated[Pretrain | None, Field(description="how the base is made")] = None
    path: Annotated[
        str | None, Field(min_length=1, description="a saved policy as the base, in place of `pretrain`")
    ] = None
    seed: Annotated[
        int | None, Field(ge=0, lt=2**32, description="seed of the base; `null`: that of the curriculum")
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _a_vla_has_256_bins(cls, said: Any) -> Any:
        policy = said.get("policy") if isinstance(said, dict) else None
        kind = policy.get("type") if isinstance(policy, dict) else getattr(policy, "type", None)
        return {"bins": 256} | said if kind in VLA_TYPES else said

    @model_validator(mode="after")
    def _is_made_or_loaded(self) -> "ControlModel":
        if self.seed is not None and self.pretrain is None:
            raise broken_rule("only a base that is made (`pretrain`) has a seed of its own; leave it out", "seed")
        if isinstance(self.policy, TokenPolicy):
            if self.pretrain is not None or self.path is not None:
                given = "path" if self.pretrain is None else "pretrain"
                raise broken_rule("a VLA's base is its checkpoint (`policy.model_name_or_path`)", given)
            return self
        if (self.pretrain is None) == (self.path is None):
            raise broken_rule("the base is either made (`pretrain`) or loaded (`path`); give one of them", "pretrain")
        return self

    @property
    def title(self) -> str:
        """`the mlp of 128 and 128 hidden units, 21 bins`."""
        return f"{self.policy.title}, {self.bins} bins"

    def kl_settings(self, task: Source) -> str:
        """`action_repeat 5, and bins 21 if actions are continuous`: which they are, only the environment tells."""
        assert isinstance(task, Gymnasium), "the only kind of task"
        return f"action_repeat {task.action_repeat}, and bins {self.bins} if actions are continuous"

    @property
    def sources(self) -> tuple[tuple[Path, Source], ...]:
        """The tasks that the base imitates."""
        known = [] if self.pretrain is None else self.pretrain.tasks
        return tuple((("pretrain", "tasks", index, "task"), one.task) for index, one in enumerate(known))

    def drawn_from(self, seed: int) -> int | None:
        """The base is trained at the model's own seed, if it has one."""
        if isinstance(self.policy, TokenPolicy):
            return None if self.policy.lora is None else seed
        if self.pretrain is None:
            return None
        return seed if self.seed is None else self.seed

    def refusal(self, method: Method) -> str | None:
        """An adapter is not put on an adapter."""
        lora = self.policy.lora if isinstance(self.policy, TokenPolicy) else None
        return refuse_second_adapter(method, lora, "model.policy.lora")
