"""The base model of the vision world."""

from itertools import pairwise
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from perdure.budget.bounds import Batch, Epochs, Items, Rate, Units, Weight
from perdure.budget.config import Frozen, broken_rule
from perdure.curriculum.worlds.contract import CpuThreads, Device, ModelSection

MAX_LAYERS = 64
MAX_WEIGHTS = 10**8
"""Weights of a network: with its base, its gradients and AdamW's moments some two gigabytes."""


class Pretrain(Frozen):
    """Pretraining of the vision world's base at the start of a run: jointly on digits and clothes, by AdamW.

    A digit's label is drawn from all digits of its parity, a piece of clothing's is its class, as in RL's Razor (arXiv
    2509.04259). The paper gives the number of images and nothing more; the rest is chosen here, each with its reason.
    """

    images: Annotated[
        Items,
        Field(
            ge=10, description="images of each kind, digits and clothes (the paper's 500); no stage learns from them"
        ),
    ] = 500
    learning_rate: Annotated[
        Rate,
        Field(gt=0, description="AdamW's peak; the paper names no optimiser, and AdamW is its choice elsewhere"),
    ] = 1e-3
    num_train_epochs: Annotated[
        Epochs,
        Field(
            gt=0,
            description="passes over these images; not in the paper: after 10 the parity of a digit is not yet learned "
            "(its right labels have some 82 % of the mass), the clothes nearly as well as these images allow",
        ),
    ] = 10
    lr_scheduler_type: Annotated[
        Literal["constant", "constant_with_warmup", "linear", "cosine"],
        Field(
            description="not in the paper: with `cosine` the bases of several seeds are alike, with `constant` less so"
        ),
    ] = "cosine"
    per_device_train_batch_size: Annotated[
        Batch, Field(ge=1, description="images a step; not in the paper: 64 gives some fifteen steps a pass")
    ] = 64
    weight_decay: Annotated[
        Weight, Field(ge=0, description="AdamW's weight decay; none, as in the paper's language models")
    ] = 0.0
    redraw: Annotated[
        bool,
        Field(
            description="draw a digit's label afresh in every pass, so that the base is sure of the parity and of no "
            "digit; `false` keeps the first draw, which a network of this size learns by heart"
        ),
    ] = True


class MlpModel(ModelSection):
    """A small classifier of 28 x 28 images: the vision world, after ParityMNIST of RL's Razor (arXiv 2509.04259)."""

    WORLD: ClassVar[str] = "vision"
    IS_SMALL: ClassVar[bool] = True

    type: Annotated[Literal["mlp"], Field(description="a multi-layer perceptron of 785 inputs and 10 labels")]
    hidden_sizes: Annotated[
        list[Annotated[Units, Field(ge=1)]],
        Field(min_length=1, max_length=MAX_LAYERS, description="units of each hidden layer (the paper's)"),
    ] = [512, 256]
    data: Annotated[
        str,
        Field(
            min_length=1,
            description="`shipped` (5,000 digits, 3,000 clothes), `full` (MNIST and Fashion-MNIST whole, from the "
            "hub), or a folder that holds the IDX files of `mnist/` and `fashion-mnist/`",
        ),
    ] = "shipped"
    pretrain: Annotated[Pretrain, Field(description="how the base is made")] = Pretrain()
    device: Annotated[
        Device, Field(description="`auto` (the CPU, which is faster for one model so small), `cpu`, `cuda`, …")
    ] = "auto"
    threads: Annotated[CpuThreads | Literal["auto"], Field(description="CPU threads; `auto`: one")] = "auto"
    seed: Annotated[
        int | None, Field(ge=0, lt=2**32, description="seed of the base; `null`: that of the curriculum")
    ] = None

    @model_validator(mode="after")
    def _fits_in_memory(self) -> "MlpModel":
        sizes = (785, *self.hidden_sizes, 10)
        weights = sum((inputs + 1) * units for inputs, units in pairwise(sizes))
        if weights > MAX_WEIGHTS:
            raise broken_rule(
                f"this network has {weights:,} weights; at most {MAX_WEIGHTS:,} are possible", "hidden_sizes"
            )
        return self

    @property
    def title(self) -> str:
        """`the mlp of 512 and 256 hidden units pretrained on shipped images`."""
        return f"the mlp of {' and '.join(map(str, self.hidden_sizes))} hidden units pretrained on {self.data} images"

    def drawn_from(self, seed: int) -> int | None:
        """The base is trained at the model's own seed, if it has one."""
        return seed if self.seed is None else self.seed
