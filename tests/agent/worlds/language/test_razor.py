"""The curricula of the paper's language tasks, small and offline: tiny files of the same layouts and a random model."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, LlamaConfig

import perdure
from perdure.curriculum.file.reader import read_curriculum
from tests.curriculum.worlds.language.sources.alpaca import exam_file, training_file
from tests.curriculum.worlds.language.sources.building import write_rows
from tests.models import random_model

WITH_TOOLS = (
    "{{ bos_token }}{% for tool in tools or [] %}{{ tool.function.name }} {% endfor %}"
    "{% for message in messages %}{% if message.role == 'assistant' %}<|assistant|>{{ message.content }}"
    "{% for call in message.tool_calls or [] %}<tool_call>{{ call.function | tojson }}</tool_call>{% endfor %}<|end|>"
    "{% else %}<|user|>{{ message.content }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
NAMES = ("science", "tools", "math")


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What is set in place of the hub, by stage; under `""` what goes with every stage."""
    folder = tmp_path_factory.mktemp("razor")
    tokenizer = AutoTokenizer.from_pretrained(files("perdure.agent.worlds.language.builtin_model") / "tiny")
    tokenizer.chat_template = WITH_TOOLS
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    random_model(LlamaConfig, tokenizer, **shape, max_position_embeddings=512).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    write_rows(folder / "science" / "weights.jsonl", [_chemistry(number) for number in range(16)])
    (folder / "math.json").write_text(json.dumps([_turns(number) for number in range(16)]))
    small = {"train": 8, "heldout": 2}
    return {
        "": {"model.model_name_or_path": str(folder / "model"), "model.revision": None, "benchmarks": []},
        "science": {"path": str(folder / "science"), "name": None, "split": "train", **small},
        "math": {"path": str(folder / "math.json"), **small},
        "tools": {
            "path": str(training_file(folder / "train.json")),
            "train": 8,
            "heldout.path": str(exam_file(folder / "exam.json", 10, 11)),
        },
    }


def _chemistry(number: int) -> dict[str, Any]:
    """As in SciKnowEval; every fourth row is of another level, or is no multiple choice."""
    level, kind = (
        ("L3", "mcq-4-choices") if number % 4 else (("L2", "mcq-4-choices"), ("L3", "filling"))[number % 8 > 0]
    )
    return {
        "prompt": {"default": "Answer by a letter."},
        "question": f"Weight of c{number}?",
        "choices": {"text": [str(number + more) for more in range(4)], "label": ["A", "B", "C", "D"]},
        "answerKey": "B",
        "type": kind,
        "domain": "Chemistry",
        "details": {"level": level, "task": "molar_weight_calculation", "subtask": "i2w", "source": "PubChem"},
        "answer": "",
    }


def _turns(number: int) -> list[Any]:
    answer = {"from": "assistant", "ground_truth": {"value": str(2 * number)}}
    return [{"from": "human", "value": f"Double {number}."}, answer]


def overrides(local: dict[str, dict[str, Any]], *stages: str) -> dict[str, Any]:
    tasks = {f"stages.{stage}.task.{key}": value for stage in stages for key, value in local[stage].items()}
    return local[""] | tasks


def test_the_stream_runs_small_and_offline(local: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    small = {
        "train.max_steps": 1,
        "train.warmup_steps": 0,
        "train.per_device_train_batch_size": 4,
        "train.gradient_accumulation_steps": 1,
        "train.num_generations": 2,
        "train.max_completion_length": 4,
        "stages.tools.method": "sft",  # its demonstrations are calls, which the template makes text of
        "budget.num_prompts": 2,
        "budget.max_completion_length": 4,
        "evaluation.max_completion_length": 4,
    }
    run = perdure.run("razor-stream", output_dir=tmp_path / "run", overrides=overrides(local, *NAMES) | small)
    assert run.status == "finished"
    assert list(run.steps().stage_name) == list(NAMES)
    answers = run.answers()
    asked = answers.groupby("name").prompt.nunique()
    assert dict(asked) == {"science": 2, "tools": 2, "math": 2}


@pytest.mark.parametrize("name", NAMES)
def test_a_curriculum_alone_has_the_stage_of_the_stream(name: str, local: dict[str, dict[str, Any]]) -> None:
    alone, stream = (read_curriculum(f"razor-{one}").curriculum for one in (name, "stream"))
    [stage] = alone.stages
    assert stage == next(one for one in stream.stages if one.name == name)
    assert (alone.model, alone.train, alone.benchmarks) == (stream.model, stream.train, stream.benchmarks)
