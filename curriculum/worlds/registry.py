"""What a curriculum may say of the base model: one section a world, told apart by `type`. Imports no torch."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from perdure.budget.config import Frozen

World = Literal["language", "vision"]


class LoraConfig(Frozen):
    """One low-rank adapter over an untouched base, through peft; field names are peft's."""

    r: Annotated[int, Field(ge=1, description="rank")] = 16
    lora_alpha: Annotated[float, Field(gt=0, description="scale; the update is multiplied by lora_alpha / r")] = 32
    lora_dropout: Annotated[float, Field(ge=0, lt=1, description="dropout on the adapter's input")] = 0.0
    target_modules: Annotated[str | list[str], Field(description="which layers, as peft takes them")] = "all-linear"


class CausalModel(Frozen):
    """A causal language model: the language world. This is the kind where `type` is left out."""

    type: Annotated[Literal["causal_lm"], Field(description="a causal language model; the default")] = "causal_lm"
    model_name_or_path: Annotated[str, Field(description="a hub id, a local folder, or `builtin:tiny`", min_length=1)]
    revision: Annotated[str | None, Field(description="branch, tag or commit on the hub")] = None
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        Field(description="`auto`: bfloat16 on a GPU that has it, else float32"),
    ] = "auto"
    device: Annotated[str, Field(description="`auto` (CUDA if there is one, else CPU), `cpu`, `cuda`, `cuda:1`, …")] = (
        "auto"
    )
    threads: Annotated[
        int | Literal["auto"], Field(description="CPU threads; `auto`: one for models below 20 M parameters")
    ] = "auto"
    trust_remote_code: Annotated[bool, Field(description="run Python code that comes with the model")] = False
    lora: Annotated[LoraConfig | None, Field(description="train an adapter instead of the weights")] = None

    @property
    def world(self) -> World:
        return "language"


class Pretrain(Frozen):
    """How the base of the vision world is made, when a life begins: jointly on digits and clothes, by AdamW.

    A digit's label is drawn from all digits of its parity, a piece of clothing's is its class, as in RL's Razor (arXiv
    2509.04259). The paper gives the number of images and nothing more; the rest is chosen here, each with its reason.
    """

    images: Annotated[
        int,
        Field(
            ge=10, description="images of each kind, digits and clothes (the paper's 500); no stage learns from them"
        ),
    ] = 500
    learning_rate: Annotated[
        float,
        Field(gt=0, description="AdamW's peak; the paper names no optimiser, and AdamW is its choice elsewhere"),
    ] = 1e-3
    num_train_epochs: Annotated[
        float,
        Field(
            gt=0,
            description="passes over these images; not in the paper: 10 leave the parity of a digit to be learned (its "
            "right labels have some 82 % of the mass) and know the clothes nearly as well as these images allow",
        ),
    ] = 10
    lr_scheduler_type: Annotated[
        Literal["constant", "constant_with_warmup", "linear", "cosine"],
        Field(
            description="not in the paper: with `cosine` the bases of several seeds are alike, with `constant` less so"
        ),
    ] = "cosine"
    per_device_train_batch_size: Annotated[
        int, Field(ge=1, description="images a step; not in the paper: 64 gives some fifteen steps a pass")
    ] = 64
    weight_decay: Annotated[
        float, Field(ge=0, description="AdamW's weight decay; none, as in the paper's language models")
    ] = 0.0
    redraw: Annotated[
        bool,
        Field(
            description="draw a digit's label afresh in every pass, so that the base is sure of the parity and of no "
            "digit; `false` keeps the first draw, which a network of this size learns by heart"
        ),
    ] = True


class MlpModel(Frozen):
    """A small classifier of 28 x 28 images: the vision world, after ParityMNIST of RL's Razor (arXiv 2509.04259)."""

    type: Annotated[Literal["mlp"], Field(description="a multi-layer perceptron of 785 inputs and 10 labels")]
    hidden_sizes: Annotated[
        list[Annotated[int, Field(ge=1)]], Field(min_length=1, description="units of each hidden layer (the paper's)")
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
        str, Field(description="`auto` (the CPU, which is faster for one model so small), `cpu`, `cuda`, …")
    ] = "auto"
    threads: Annotated[int | Literal["auto"], Field(description="CPU threads; `auto`: one")] = "auto"
    seed: Annotated[
        int | None, Field(ge=0, lt=2**32, description="what the base follows from; `null`: the curriculum's seed")
    ] = None

    @property
    def world(self) -> World:
        return "vision"


def _type_of(model: Any) -> str:
    """The kind of a model section; without `type`, and for what is no section at all, a causal language model."""
    kind = model.get("type", "causal_lm") if isinstance(model, dict) else getattr(model, "type", "causal_lm")
    return str(kind)


ModelConfig = Annotated[
    Annotated[CausalModel, Tag("causal_lm")] | Annotated[MlpModel, Tag("mlp")], Discriminator(_type_of)
]
"""The base model of any world."""
