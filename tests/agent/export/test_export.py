"""`perdure export`: what is written loads elsewhere and is the policy that the run measured."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file
from torch import Tensor

from perdure.agent.export.export import Described, ExportRequest, export
from perdure.agent.loop import run_curriculum
from perdure.agent.run.log import NullView
from perdure.agent.setup import start
from perdure.agent.weights import digest
from perdure.agent.worlds.control.world import ControlWorld
from perdure.agent.worlds.hub import commit_of, license_of
from perdure.agent.worlds.language.loading import load_policy
from perdure.agent.worlds.language.policy import LanguagePolicy
from perdure.budget.errors import ConfigError, RunError
from perdure.budget.files import sha256_of
from perdure.cli.report.card import model_card
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.worlds.language.model import CausalModel
from tests.agent.worlds.language.tiny_world import tiny_policy_parts
from tests.agent.worlds.vision.test_vision_run import curriculum as vision
from tests.agent.worlds.vision.test_vision_run import images
from tests.control_runs import curriculum as control
from tests.control_runs import point

IDS_1T = torch.arange(5, 30)[None]


def language(folder: Path, **model: Any) -> Curriculum:
    """One stage of one step on the model in a folder."""
    even = {"type": "python", "path": "perdure.curriculum.worlds.language.skills:even_number"}
    return Curriculum.model_validate(
        {
            "model": {"model_name_or_path": str(folder), "device": "cpu"} | model,
            "budget": {"kl": 9.0, "enforce": "observe", "num_prompts": 2, "max_completion_length": 2},
            "strategy": {"type": "fixed", "method": "sft"},
            "train": {"max_steps": 1, "learning_rate": 0.01, "per_device_train_batch_size": 4, "warmup_steps": 0},
            "evaluation": {"max_completion_length": 2},
            "stages": [{"name": "even", "task": even | {"train": 8, "heldout": 4}}],
        }
    )


def run_of(config: Curriculum, path: Path) -> Path:
    torch.set_num_threads(1)
    run_curriculum(start(config, path, NullView()))
    return path


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "small"
    LanguagePolicy(*tiny_policy_parts()).save(folder)
    (folder / "README.md").write_text("---\nlicense: mit\n---\nA small model.\n")
    return folder


@pytest.fixture(scope="module")
def lora(base: Path) -> Path:
    """A run that trains an adapter; its first step moves it."""
    return run_of(language(base, lora={"r": 2}), base.parent / "lora")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the vision world."""
    one = {"stages": [{"name": "parity", "task": images()}], "benchmarks": []}
    return run_of(vision(**one), tmp_path_factory.mktemp("vision") / "seen")


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Path]:
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


def exported(run: Path, to: str, **wanted: Any) -> Described:
    return export(run, ExportRequest(target=Path(to), **wanted), model_card)[1]


def executed(folder: str, monkey: dict[str, str] | None = None) -> dict[str, Any]:
    """The names that the card's code leaves, run in the folder of the export."""
    text = (Path(folder) / "README.md").read_text()
    source = re.search(r"```python\n(.*?)```", text, re.S)[1]  # type: ignore[index]
    for old, new in (monkey or {}).items():
        source = source.replace(old, new)
    before, names = Path.cwd(), dict[str, Any]()
    os.chdir(folder)
    try:
        exec(source, names)
    finally:
        os.chdir(before)
    return names


@torch.no_grad()
def logits(model: Any) -> Tensor:
    return model.eval()(input_ids=IDS_1T).logits  # type: ignore[no-any-return]


def policy_of(run: Path, base: Path) -> Any:
    """The run's own policy: base and adapter."""
    policy = load_policy(CausalModel(model_name_or_path=str(base), device="cpu", lora={"r": 2}), seed=0)  # type: ignore[arg-type]
    policy.restore(run / "stages/01-even/policy")
    return policy.model


def test_merged_weights_answer_as_base_and_adapter_do(lora: Path, base: Path, here: Path) -> None:
    found = exported(lora, "merged", merge=True).exported
    assert found.merged and (found.relation, found.library) == ("finetune", "transformers")
    assert sorted(path.name for path in Path("merged").iterdir()) == [
        "README.md",
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    after, before = logits(executed("merged")["model"]), logits(policy_of(lora, base))
    assert float((after - before).abs().max() / before.abs().max()) < 1e-4
    assert float((before - logits(tiny_policy_parts()[0])).abs().max()) > 1e-2  # the adapter says something


def test_an_adapter_names_no_folder_of_this_machine(lora: Path, base: Path, here: Path) -> None:
    found = exported(lora, "adapter")
    said = json.loads(Path("adapter/adapter_config.json").read_text())
    assert (said["base_model_name_or_path"], said["revision"]) == (None, None)
    assert "the base is a local folder, `small`, and not on the hub" in found.exported.notes[0]
    texts = [path.read_text() for path in Path("adapter").iterdir() if path.suffix != ".safetensors"]
    assert not any(str(base.parent) in text for text in texts)
    loaded = executed("adapter", {'"BASE"': repr(str(base))})["model"]
    torch.testing.assert_close(logits(loaded), logits(policy_of(lora, base)))


def test_a_card_says_where_it_comes_from(lora: Path, here: Path) -> None:
    exported(lora, "adapter")
    card = ModelCard.load("adapter/README.md")
    said = card.data.to_dict()
    assert said["license"] == "mit" and said["library_name"] == "peft" and "base_model" not in said
    assert "| 1 | even | sft | 1 | 9.000 nats/token |" in card.text
    assert "| even | 0.0 ± 0.0 | " in card.text and "KL(base ‖ policy), the forward KL with the base first" in card.text


def test_whole_weights_have_nothing_to_merge(base: Path, here: Path) -> None:
    run = run_of(language(base), here / "whole")
    found = exported(run, "out", merge=True).exported
    assert not found.merged and found.relation == "finetune"
    executed("out")
    kept, there = (load_file(path / "model.safetensors") for path in (run / "stages/01-even/policy", Path("out")))
    assert digest(kept) == digest(there)


def test_a_network_is_loaded_by_torch_alone(seen: Path, here: Path) -> None:
    found = exported(seen, "out")
    inputs_NF = torch.rand(3, 785)
    weights = load_file(seen / "stages/01-parity/policy/model.safetensors")
    # one hidden layer: relu(x W0 + b0) W1 + b1
    by_hand = torch.relu(inputs_NF @ weights["0.weight"] + weights["0.bias"]) @ weights["1.weight"] + weights["1.bias"]
    torch.testing.assert_close(executed("out")["logits"](inputs_NF), by_hand)
    card = ModelCard.load("out/README.md")
    said = card.data.to_dict()
    assert re.search(r"measured on the images of .*, in nats an image, ± one standard error over images", card.text)
    assert said["license"] == "unknown" and "made when the run began" in found.exported.base.title


def test_a_policy_of_the_control_world_is_a_base(here: Path) -> None:
    from ruamel.yaml import YAML

    run = run_of(control([point()]), here / "run")
    digest_of = exported(run, "out").row.weights_sha256
    section = re.search(r"```yaml\n(.*?)```", Path("out/README.md").read_text(), re.S)[1]  # type: ignore[index]
    model = YAML(typ="safe", pure=True).load(section.replace("path: .", "path: out"))["model"]
    assert ControlWorld(control([point()], model=model)).policy.fingerprint() == digest_of


def test_nothing_is_left_of_an_export_that_failed(seen: Path, here: Path) -> None:
    def fails(described: Described) -> str:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        export(seen, ExportRequest(target=Path("out")), fails)
    assert list(here.iterdir()) == []
    Path("out").mkdir()
    exported(seen, "out")  # an empty folder is taken
    with pytest.raises(ConfigError, match="--to out: the folder is not empty"):
        exported(seen, "out")
    with pytest.raises(ConfigError, match=r"--stage 2: .* has the stages 1 to 1 done"):
        exported(seen, "other", stage=2)


def test_a_damaged_policy_is_refused(seen: Path, here: Path) -> None:
    file = seen / "stages/01-parity/policy/model.safetensors"
    saved, stage = file.read_bytes(), (seen / "stages/01-parity/stage.json").read_text()
    try:
        file.write_bytes(saved[:-1] + bytes([saved[-1] ^ 1]))
        with pytest.raises(RunError, match=r"is not what was written .* --redo-from 1"):
            exported(seen, "out")
        save_file({name: tensor + 1 for name, tensor in load_file(file).items()}, file)
        said = json.loads(stage)
        said["files"]["policy/model.safetensors"] = sha256_of(file)
        (seen / "stages/01-parity/stage.json").write_text(json.dumps(said))
        with pytest.raises(RunError, match="holds other weights than the journal says"):
            exported(seen, "out")
        assert list(here.iterdir()) == []
    finally:
        file.write_bytes(saved)
        (seen / "stages/01-parity/stage.json").write_text(stage)


def test_licences_and_commits(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\nlicense: other\nlicense_name: own\ntags: [a]\n---\n")
    assert license_of(str(tmp_path), None) == {"license": "other", "license_name": "own"}
    (tmp_path / "README.md").write_text("no metadata")
    assert license_of(str(tmp_path), None) == {}
    sha = "0123456789abcdef0123456789abcdef01234567"
    assert commit_of(Path(f"/hub/models--org--name/snapshots/{sha}/config.json")) == sha
    assert commit_of(tmp_path / "config.json") is None
