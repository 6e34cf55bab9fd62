"""The tasks of the vision world."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from perdure.budget.bounds import Items
from perdure.budget.config import broken_rule
from perdure.curriculum.worlds.contract import Source
from perdure.curriculum.worlds.reward_kinds import RewardKind, kinds_in_words
from perdure.curriculum.worlds.vision.images.rules import LabelRule, Variant, Writer

RULES = (
    RewardKind("rule", "parity", "any label of the same parity"),
    RewardKind("rule", "at_least_five", "any label on the same side of five"),
    RewardKind("rule", "multiple_of_three", "any multiple of three, or any other"),
    RewardKind("rule", "prime", "any prime, or any that is none"),
    RewardKind("rule", "label", "the true class alone"),
)


class Images(Source):
    """Images under a rule of which labels are right. A writer chooses among them (vision world)."""

    type: Literal["images"]
    images: Annotated[Literal["digits", "clothes"], Field(description="MNIST's digits or the clothes of Fashion-MNIST")]
    rule: Annotated[
        LabelRule,
        Field(
            description=f"which labels are right, as the true class is; {kinds_in_words(RULES)}",
        ),
    ]
    writer: Annotated[
        Writer,
        Field(
            description="writer of the labels to imitate: `one` always writes the first right label, `two` the first "
            "or the third, `oracle` draws from the base's own right answers, `label` writes the true class; `none`"
        ),
    ] = "label"
    data: Annotated[
        str | None,
        Field(min_length=1, description="`shipped`, `full` or a folder, as `model.data`; default: the model's"),
    ] = None
    variant: Annotated[
        Variant,
        Field(
            description="change to every image: `shifted` by two pixels in a direction of its own, `noisy`, "
            "`dimmed` to half its brightness, or `inverted`; always in the same way"
        ),
    ] = "none"
    train: Annotated[
        Items | None, Field(ge=1, description="images to learn from; default: all that the base was not pretrained on")
    ] = None
    heldout: Annotated[
        Items | None, Field(ge=2, description="test images to evaluate on, the same for every seed; default: all")
    ] = None

    @model_validator(mode="after")
    def _the_writer_has_a_choice(self) -> "Images":
        if self.writer == "two" and self.rule == "label":
            raise broken_rule("`writer: two` needs three right labels, and `rule: label` has one", "writer")
        return self

    @property
    def may_demonstrate(self) -> bool | None:
        return self.writer != "none"
