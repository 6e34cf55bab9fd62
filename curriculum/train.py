"""Train settings: for all stages, for one method, or for one stage; and which of them win."""

from typing import Annotated, Any

from pydantic import BaseModel, Field, SerializerFunctionWrapHandler, model_serializer

from perdure.curriculum.settings import (
    ChordTrain,
    Common,
    EaftTrain,
    EwcTrain,
    GateTrain,
    Generation,
    L2Train,
    LoraTrain,
    LowLrSftTrain,
    ReinforceTrain,
    ReplayTrain,
    RlKlTrain,
    RlTrain,
    SdftTrain,
    SftKlTrain,
    SftTrain,
    SimpoTrain,
    TiltTrain,
    TrlCommon,
)
from perdure.curriculum.worlds.contract import PARENT, Method


class Train(TrlCommon, Generation):
    """Settings shared by the methods, and below them those of one method alone, which win."""

    sft: Annotated[SftTrain, Field(description="of `sft` alone; they win")] = SftTrain()
    rl: Annotated[RlTrain, Field(description="of `rl` alone; they win")] = RlTrain()
    chord: Annotated[ChordTrain, Field(description="of `chord` alone; they win")] = ChordTrain()
    gate: Annotated[GateTrain, Field(description="of `gate` alone; they win")] = GateTrain()
    tilt: Annotated[TiltTrain, Field(description="of `tilt` alone; they win")] = TiltTrain()
    sdft: Annotated[SdftTrain, Field(description="of `sdft` alone; they win")] = SdftTrain()
    eaft: Annotated[EaftTrain, Field(description="of `eaft` alone; they win")] = EaftTrain()
    sft_kl: Annotated[SftKlTrain, Field(description="of `sft_kl` alone; they win")] = SftKlTrain()
    rl_kl: Annotated[RlKlTrain, Field(description="of `rl_kl` alone; they win")] = RlKlTrain()
    low_lr_sft: Annotated[LowLrSftTrain, Field(description="of `low_lr_sft` alone; they win")] = LowLrSftTrain()
    replay: Annotated[ReplayTrain, Field(description="of `replay` alone; they win")] = ReplayTrain()
    ewc: Annotated[EwcTrain, Field(description="of `ewc` alone; they win")] = EwcTrain()
    l2: Annotated[L2Train, Field(description="of `l2` alone; they win")] = L2Train()
    lora: Annotated[LoraTrain, Field(description="of `lora` alone; they win")] = LoraTrain()
    reinforce: Annotated[ReinforceTrain, Field(description="of `reinforce` alone; they win")] = ReinforceTrain()
    simpo: Annotated[SimpoTrain, Field(description="of `simpo` alone; they win")] = SimpoTrain()

    @model_serializer(mode="wrap")
    def _without_defaults(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Only what is set: read again, as a resume does, a default that was written out would count as set and win."""
        return _set_in(self, dump(self))


def _set_in(section: BaseModel, dumped: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in dumped.items() if name in section.model_fields_set}
    for name, value in kept.items():
        held = getattr(section, name)
        if isinstance(held, BaseModel):
            kept[name] = _set_in(held, value)
    return kept


SECTIONS: dict[Method, type[Common]] = {
    "sft": SftTrain,
    "rl": RlTrain,
    "chord": ChordTrain,
    "gate": GateTrain,
    "tilt": TiltTrain,
    "sdft": SdftTrain,
    "eaft": EaftTrain,
    "sft_kl": SftKlTrain,
    "rl_kl": RlKlTrain,
    "low_lr_sft": LowLrSftTrain,
    "replay": ReplayTrain,
    "ewc": EwcTrain,
    "l2": L2Train,
    "lora": LoraTrain,
    "reinforce": ReinforceTrain,
    "simpo": SimpoTrain,
}

OF_ANOTHER_MEANING: dict[Method, frozenset[str]] = {"simpo": frozenset({"beta"})}
"""Settings of a method that it does not take from the shared ones of that name."""


NOT_0: dict[Method, frozenset[str]] = {"sft_kl": frozenset({"beta"}), "rl_kl": frozenset({"beta"})}
"""Settings of which a method takes no 0 that is meant for others: without its term it would be another method."""


def settings_for(method: Method, everywhere: Train, stage: Train) -> Common:
    """The settings of one method in one stage.

    From weakest to strongest: the curriculum's `train`, its section for the method that this one varies (`PARENT`), its
    section for the method, then the same three of the stage. Only values that the file sets count; `trl` dictionaries
    are merged key by key. Of what is not of its own sections a method leaves out `OF_ANOTHER_MEANING` (from what all
    share) and the zeros of `NOT_0`, and `low_lr_sft` takes its share of the learning rate.
    """
    merged: dict[str, Any] = {}
    trl: dict[str, Any] = {}
    fields = SECTIONS[method].model_fields
    rate_is_own = False
    for layer, own in _layers(method, everywhere, stage):
        given = {name: value for name, value in _given(method, layer, own).items() if name in fields}
        rate_is_own = own if "learning_rate" in given else rate_is_own
        merged |= given
        trl |= getattr(layer, "trl", {})
    if "learning_rate_share" in fields and "learning_rate" in merged:
        share = merged.pop("learning_rate_share", fields["learning_rate_share"].default)
        merged["learning_rate"] *= 1 if rate_is_own else share
    return SECTIONS[method](**(merged | ({"trl": trl} if "trl" in fields else {})))


def _layers(method: Method, everywhere: Train, stage: Train) -> list[tuple[BaseModel, bool]]:
    """Where settings of a method stand, the strongest last, and whether that is a section of its own."""
    names = [PARENT[method], method] if method in PARENT else [method]
    return [
        layer
        for train in (everywhere, stage)
        for layer in [(train, False), *((getattr(train, name), name == method) for name in names)]
    ]


def _given(method: Method, layer: BaseModel, own: bool) -> dict[str, Any]:
    """What a layer sets for a method."""
    other = OF_ANOTHER_MEANING.get(method, frozenset()) if isinstance(layer, Train) else frozenset()
    given = layer.model_dump(include=layer.model_fields_set - other, exclude_none=True)
    zeros = frozenset() if own else NOT_0.get(method, frozenset())
    return {name: value for name, value in given.items() if name not in zeros or value != 0}
