"""Environments played in turns: what counts is what the policy wrote, in training, scoring and the KL alike."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import perdure
from perdure.agent.worlds.language.base_texts import BaseTexts, load_base_texts, sample_base_texts, save_base_texts
from perdure.agent.worlds.language.chat import encode_prompt
from perdure.agent.worlds.language.conversations import fitted
from perdure.agent.worlds.language.methods.rl import build_sampler, playing
from perdure.agent.worlds.language.trl.config import config_for
from perdure.agent.worlds.language.trl.rows import RewardMeter
from perdure.agent.worlds.language.turns import Episode, play
from perdure.budget.errors import ConfigError, ModelError
from perdure.curriculum.task import Task
from perdure.curriculum.worlds.language.environment_task import EnvironmentTask
from perdure.curriculum.worlds.language.environments import EpisodeReward
from perdure.curriculum.worlds.language.sources.environment import load
from tests.agent.worlds.language.jobs import job_of, settings_of, update
from tests.agent.worlds.language.rooms import (
    CALLS,
    ROOMS,
    Undescribed,
    policy_with_calls,
    tokenizer_with_calls,
    write_rows,
)

QUICK: dict[str, Any] = {
    "learning_rate": 2e-2,
    "warmup_steps": 0,
    "per_device_train_batch_size": 16,
    "num_generations": 8,
    "max_completion_length": 24,
}


def rooms(folder: Path, path: str = ROOMS, number: int = 3, **settings: Any) -> Task:
    """Eight rows to learn from, and four held out; coins are in one of so many rooms."""
    rows = write_rows(folder / "rooms.jsonl", number)
    config = {"type": "environment", "path": path, "data": str(rows), "train": 8, "heldout": 4, **settings}
    return load(EnvironmentTask.model_validate(config), name="rooms", seed=0)


def scripted(task: Task, *turns: str, length: int = 200) -> Episode:
    """The episode of the first item in which the policy says these turns; `@` is the right call, `!` a wrong one."""
    tokenizer, prompt = tokenizer_with_calls(), task.train[0].prompt
    room = prompt.row["room"]
    said = [one.replace("@", CALLS[room]).replace("!", CALLS[(room + 1) % 3]) + "<|end|>" for one in turns]

    def generate(prompts: list[list[int]], turn: int) -> list[list[int]]:
        return [tokenizer(said[turn], add_special_tokens=False)["input_ids"] for _ in prompts]

    model = policy_with_calls().model
    (episode,) = play(tokenizer, model, [prompt], length=length, generate=generate)
    return episode


def test_what_a_tool_returns_is_given_and_the_rest_is_written(tmp_path: Path) -> None:
    episode = scripted(rooms(tmp_path), "!", "@", "got it")
    text = tokenizer_with_calls().decode(episode.completion_ids)
    given = [token for token, own in zip(episode.completion_ids, episode.written, strict=True) if not own]
    # After each call come the tool's turn, which is a special token and four letters, and the next header.
    assert tokenizer_with_calls().decode(given) == "<|tool|>dust<|assistant|><|tool|>coin<|assistant|>"
    assert text.endswith("<|end|><|tool|>coin<|assistant|>got it<|end|>")
    told = json.loads(episode.text)
    assert told["reward"] == 1.0
    assert [turn["role"] for turn in told["turns"]] == ["assistant", "tool", "assistant", "tool", "assistant"]


def test_a_prompt_has_what_reset_says_and_the_names_of_the_tools(tmp_path: Path) -> None:
    tokenizer, prompt = tokenizer_with_calls(), rooms(tmp_path).train[0].prompt
    asked = tokenizer.decode(encode_prompt(tokenizer, prompt))
    words = f"{prompt.row['prompt']} of {prompt.row['room'] + 1}"
    assert asked == f"<s>fail open <|user|>{words}<|assistant|>"


@pytest.mark.parametrize(
    ("turns", "settings", "length", "reward"),
    [
        (["!", "!", "lost"], {}, 200, 0.0),
        ([CALLS[3], "@", "a"], {}, 200, 1.0),  # a tool that fails is told, and the episode goes on
        (["@", "@", "never said"], {"max_tool_calling_iterations": 1}, 200, 1.0),
        (["!", "@"], {}, 4, 0.0),  # what the tool returned has no room
        (["no call"], {}, 200, 0.0),
    ],
)
def test_ends_of_episodes(
    tmp_path: Path, turns: list[str], settings: dict[str, Any], length: int, reward: float
) -> None:
    episode = scripted(rooms(tmp_path, **settings), *turns, length=length)
    assert json.loads(episode.text)["reward"] == reward
    assert len(episode.completion_ids) == len(episode.written)


def test_a_reward_by_name_reads_the_last_words(tmp_path: Path) -> None:
    task = rooms(tmp_path, ROOMS.replace("Rooms", "Silent"), reward={"type": "regex", "pattern": "got"})
    episodes = [scripted(task, "@", "got it"), scripted(task, "@", "nothing"), scripted(task, "@", "")]
    assert task.reward is not None
    assert task.reward([task.train[0]] * 3, [one.text for one in episodes]) == [1.0, 0.0, 0.0]


def base_of(policy: Any, task: Task) -> BaseTexts:
    prompts = {"rooms": [item.prompt for item in task.train]}
    return sample_base_texts(policy, prompts, max_completion_length=40, batch_size=4, seed=3)


def test_the_kl_is_read_on_the_tokens_that_the_base_wrote(tmp_path: Path) -> None:
    task, policy = rooms(tmp_path), policy_with_calls()
    base = base_of(policy, task)
    texts = base.texts["rooms"]
    assert texts.given_ST is not None and texts.given_ST.any()
    with torch.no_grad():
        before = [policy.model(ids[None]).logits[0].log_softmax(-1) for ids in texts.ids_ST]
        for weight in policy.model.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
        after = [policy.model(ids[None]).logits[0].log_softmax(-1) for ids in texts.ids_ST]
    # By hand: Σ p·(log p - log q) where the next token is after the prompt, in the text, and not a tool's.
    expected = []
    for row, (old, new) in enumerate(zip(before, after, strict=True)):
        kl_T = (old.exp() * (old - new)).sum(-1)
        begin, end = int(texts.prompt_lengths_S[row]), int(texts.lengths_S[row])
        expected.append(sum(float(kl_T[t - 1]) for t in range(begin, end) if not texts.given_ST[row, t]))
    (group,) = base.measure(["rooms"]).kl_base_to_policy
    assert group.sums == pytest.approx(expected, rel=1e-4)
    assert [sum(end - start for start, end in spans) for spans in texts.spans_S] == list(group.lengths)
    few = texts.take([2, 5])
    assert few.rows_S == [texts.rows_S[2], texts.rows_S[5]] and len(few.hidden_RH) == sum(few.rows_S)


def test_what_tools_returned_is_known_again_from_the_folder(tmp_path: Path) -> None:
    policy = policy_with_calls()
    base = base_of(policy, rooms(tmp_path))
    save_base_texts(base, tmp_path)
    again = load_base_texts(policy, ["rooms"], tmp_path)
    assert again.measure(["rooms"]) == base.measure(["rooms"])


def test_training_plays_as_scoring_does(tmp_path: Path) -> None:
    """TRL's batch: equal rewards, and a mask that leaves out exactly what tools returned."""
    task, policy = rooms(tmp_path), policy_with_calls()
    job = job_of("rl", policy, task, tmp_path, settings_of("rl", **QUICK))
    config, meter = config_for(job), RewardMeter(EpisodeReward(), task.train)
    trainer = build_sampler_of(policy, task, config, meter)
    rows = [trainer.train_dataset[number] for number in range(2) for _ in range(8)]
    found = trainer._generate_and_score_completions(rows)
    tokenizer = policy.tokenizer
    tool, assistant = tokenizer.convert_tokens_to_ids(["<|tool|>", "<|assistant|>"])
    masked = 0
    for ids, mask, own in zip(found["completion_ids"], found["completion_mask"], found["tool_mask"], strict=True):
        given = [int(token) for token, on, wrote in zip(ids, mask, own, strict=True) if on and not wrote]
        masked += len(given)
        assert not given or (given[0] == tool and given[-1] == assistant)
    assert masked
    rewards = [reward_in_room(one) for one in trainer.environments]
    assert meter.mean() == pytest.approx(sum(rewards) / 16)
    assert len(trainer.reward_funcs) == len(trainer.reward_weights) == 1


def reward_in_room(environment: Any) -> float:
    return float(environment.found)


def build_sampler_of(policy: Any, task: Task, config: Any, meter: RewardMeter) -> Any:
    from perdure.agent.worlds.language.methods.rl import RlTrainer

    return build_sampler(RlTrainer, policy, task, config, meter, **playing(task, config))


def test_rl_learns_to_call_the_right_tool(tmp_path: Path) -> None:
    task, policy = rooms(tmp_path, number=1, max_tool_calling_iterations=1), policy_with_calls()
    seen: list[float] = []

    def watch(progress: Any) -> bool:
        seen.append(progress.reward)
        return False

    update(job_of("rl", policy, task, tmp_path, settings_of("rl", **QUICK, max_steps=8), watch=watch))
    assert sum(seen[-3:]) / 3 > sum(seen[:3]) / 3 + 0.15


def test_templates_and_tools_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    task, tokenizer = rooms(tmp_path), tokenizer_with_calls(calls=False)
    with pytest.raises(ModelError, match=r"task 'rooms' is played with tools, and TRL cannot read calls"):
        fitted(tokenizer, task, [])
    tokenizer.chat_template = "{% for message in messages %}{{ message.content }}{% endfor %}"
    with pytest.raises(ModelError, match=r"does not write calls and what tools return"):
        fitted(tokenizer, task, [])
    odd = replace(task.train[0], prompt=replace(task.train[0].prompt, factory=Undescribed))
    with pytest.raises(ConfigError, match=r"the tool `peek` cannot be described to the model: .*docstring"):
        fitted(tokenizer_with_calls(), replace(task, train=(odd,)), [])


def test_a_run_of_turns_from_its_file_to_its_answers(tmp_path: Path) -> None:
    policy_with_calls().save(tmp_path / "model")
    write_rows(tmp_path / "rooms.jsonl")
    curriculum = {
        "model": {"model_name_or_path": str(tmp_path / "model")},
        "budget": {"kl": 5, "num_prompts": 4, "max_completion_length": 24, "enforce": ["penalty", "rollback"]},
        "strategy": {"type": "fixed", "method": "rl"},
        "train": QUICK | {"max_steps": 2},
        "evaluation": {"max_completion_length": 24},
        "stages": [
            {
                "name": "rooms",
                "task": {"type": "environment", "path": ROOMS, "data": "rooms.jsonl", "train": 8, "heldout": 4},
            }
        ],
    }
    file = tmp_path / "rooms.yaml"
    file.write_text(json.dumps(curriculum))
    run = perdure.run(str(file), output_dir=tmp_path / "run")
    assert run.status == "finished"
    answers = run.answers()
    assert list(answers.name) == ["rooms"] * 4
    assert all(set(json.loads(text)) == {"reward", "turns"} for text in answers.answer)
