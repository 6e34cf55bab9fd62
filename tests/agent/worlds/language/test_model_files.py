"""A model that is not what its files say is refused before anything is trained on it."""

import json
import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, LlamaConfig

from perdure.agent.worlds.language.loading import load_policy
from perdure.agent.worlds.language.policy import LanguagePolicy
from perdure.budget.errors import ModelError
from perdure.curriculum.worlds.language.model import CausalModel
from tests.agent.worlds.language.tiny_world import tiny_policy_parts, tiny_tokenizer
from tests.models import random_model

Damage = Callable[[Path], Any]
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of two layers whose output layer is its own."""
    folder = tmp_path_factory.mktemp("model") / "sound"
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = random_model(LlamaConfig, tiny_tokenizer(), tie_word_embeddings=False, **shape)
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def load(folder: Path) -> LanguagePolicy:
    return load_policy(CausalModel(model_name_or_path=str(folder), device="cpu"), seed=0)


def tensors(change: Callable[[dict[str, torch.Tensor]], Any]) -> Damage:
    def damage(folder: Path) -> None:
        held = load_file(folder / WEIGHTS)
        change(held)
        save_file(held, folder / WEIGHTS, {"format": "pt"})

    return damage


def said(file: str, **fields: Any) -> Damage:
    def damage(folder: Path) -> None:
        (folder / file).write_text(json.dumps(json.loads((folder / file).read_text()) | fields))

    return damage


def written(file: str, content: bytes) -> Damage:
    return lambda folder: (folder / file).write_bytes(content)


def lying_header(folder: Path) -> None:
    """The first tensor has another shape than its bytes."""
    whole = (folder / WEIGHTS).read_bytes()
    size = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + size])
    next(one for name, one in header.items() if name != "__metadata__")["shape"] = [999, 999]
    new = json.dumps(header).encode()
    (folder / WEIGHTS).write_bytes(len(new).to_bytes(8, "little") + new + whole[8 + size :])


def as_shards(change: Callable[[dict[str, Any]], Any]) -> Damage:
    """The weights as one shard, under an index that `change` spoils."""

    def damage(folder: Path) -> None:
        (folder / WEIGHTS).rename(folder / "model-00001-of-00001.safetensors")
        names = load_file(folder / "model-00001-of-00001.safetensors")
        index = {"metadata": {}, "weight_map": dict.fromkeys(names, "model-00001-of-00001.safetensors")}
        change(index)
        (folder / INDEX).write_text(json.dumps(index))

    return damage


def another_pad(folder: Path) -> None:
    tokenizer = deepcopy(tiny_tokenizer())
    tokenizer.add_special_tokens({"pad_token": "<new>"})
    tokenizer.save_pretrained(folder)


NORM, LAST = "model.norm.weight", "model.layers.1.mlp.up_proj.weight"
DAMAGES: dict[str, tuple[Damage, str]] = {
    "a tensor is missing": (tensors(lambda held: held.pop(LAST)), f"lack tensors, .* at random: {LAST}"),
    "the untied head is missing": (tensors(lambda held: held.pop("lm_head.weight")), "at random: lm_head.weight"),
    "a tensor too many": (tensors(lambda held: held.update(score=torch.ones(2))), "that the model has not: score"),
    "fewer layers in the config": (said("config.json", num_hidden_layers=1), "that the model has not: .* and 6 more"),
    "another shape": (tensors(lambda held: held.update({NORM: torch.ones(5)})), rf"{NORM} \(5,\) for \(16,\)"),
    "another vocabulary": (said("config.json", vocab_size=20), r"lm_head.weight \(49, 16\) for \(20, 16\)"),
    "a tensor that is not finite": (tensors(lambda held: held[NORM].fill_(float("nan"))), f"NaN or infinite.*{NORM}"),
    "whole numbers": (tensors(lambda held: held.update({NORM: held[NORM].int()})), f"whole numbers .*{NORM}"),
    "a lying header": (lying_header, "SafetensorError.*damaged or only a pointer"),
    "a short file": (written(WEIGHTS, b"version https://git-lfs.github.com/spec/v1\n"), "damaged or only a pointer"),
    "an index without a map": (as_shards(lambda index: index.pop("weight_map")), "cannot load the model"),
    "a shard that is not there": (as_shards(lambda index: index["weight_map"].update(x="y.safetensors")), "y.safete"),
    "a config of other types": (said("config.json", hidden_size="big"), "hidden_size.*expected int"),
    "a damaged generation config": (written("generation_config.json", b"{"), "generation_config.json"),
    "an end beyond the embedding": (said("generation_config.json", eos_token_id=[4, 49]), "is 49 .* tokens 0 to 48"),
    "an end that is a word": (said("generation_config.json", eos_token_id="</s>"), "is '</s>' in its generation"),
    "a pad beyond the embedding": (another_pad, r"its padding token among them: '<new>' \(49\)"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_files_that_do_not_make_the_model_are_refused(sound: Path, tmp_path: Path, case: str) -> None:
    damage, message = DAMAGES[case]
    shutil.copytree(sound, tmp_path / "model")
    damage(tmp_path / "model")
    with pytest.raises(ModelError, match=f"model.model_name_or_path: .*{message}"):
        load(tmp_path / "model")


def test_sound_files_are_taken_whole_sharded_and_without_what_is_tied(sound: Path, tmp_path: Path) -> None:
    policy = load(sound)
    shutil.copytree(sound, tmp_path / "shards")
    as_shards(lambda index: None)(tmp_path / "shards")
    assert load(tmp_path / "shards").fingerprint() == policy.fingerprint()
    model, tokenizer = tiny_policy_parts()  # its head is its embedding
    LanguagePolicy(model, tokenizer).save(tmp_path / "tied")
    assert "lm_head.weight" not in load_file(tmp_path / "tied" / WEIGHTS)
    load(tmp_path / "tied")


def test_an_encoder_is_no_causal_model(tmp_path: Path) -> None:
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    encoder = random_model(BertConfig, tiny_tokenizer(), initializer_range=1.0, **shape)
    encoder.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="is no causal model"):
        load(tmp_path)


def test_texts_are_drawn_from_the_model_whatever_its_generation_config_says() -> None:
    """`generate` fills what a caller leaves open from there; the KL is of the model's own distribution."""
    model, tokenizer = tiny_policy_parts()
    policy = LanguagePolicy(model, tokenizer)

    def texts() -> list[list[str]]:
        return policy.respond(["abc"], max_completion_length=6, batch_size=2, temperature=1.0, num_samples=3, seed=1)

    plain, own = texts(), model.generation_config
    own.update(num_beams=3, min_p=0.9, typical_p=0.2, suppress_tokens=list(range(10, 40)), num_return_sequences=2)
    assert texts() == plain
    assert model.generation_config is own and own.num_beams == 3
