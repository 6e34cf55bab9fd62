"""lm-eval in memory: the same figures as lm-eval's own entry point, nothing disturbed, and clear refusals."""

import random
from pathlib import Path
from typing import Any

import lm_eval
import numpy as np
import pytest
import torch
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from perdure.budget.errors import ConfigError, DataError, ModelError
from perdure.curriculum.evaluation import Benchmark, Evaluation
from perdure.eval.benchmarks import PreparedBenchmark, prepare_benchmarks
from tests.agent.worlds.language.tiny_world import TinyPolicy, tiny_policy
from tests.eval.lm_task_files import choice_rows, write_generation, write_task

EVALUATION = Evaluation(batch_size=8)


@pytest.fixture(scope="module")
def policy() -> Any:
    return tiny_policy()


def prepare(folder: Path, **settings: Any) -> PreparedBenchmark:
    (benchmark,) = prepare_benchmarks([Benchmark(include_path=str(folder), **settings)]).benchmarks
    return benchmark


def from_lm_eval(policy: Any, folder: Path, task: str, **settings: Any) -> dict[str, Any]:
    """What `simple_evaluate` says of the same model and task."""
    model, tokenizer = policy.model, policy.tokenizer
    return lm_eval.simple_evaluate(
        HFLM(pretrained=model, tokenizer=tokenizer, batch_size=8),
        tasks=[task],
        task_manager=TaskManager(include_path=str(folder), include_defaults=False),
        bootstrap_iters=0,
        **settings,
    )["results"][task]


@pytest.mark.parametrize(
    "settings", [{}, {"num_fewshot": 2}, {"apply_chat_template": True, "num_fewshot": 1}, {"limit": 7}]
)
def test_the_same_score_as_lm_eval(
    policy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    folder = write_task(tmp_path, "animals", choice_rows(30), fewshot_split="test")
    score, _ = prepare(folder, tasks="animals", metric="acc_norm", **settings).score(policy, EVALUATION)
    monkeypatch.chdir(folder)  # lm-eval itself finds `data_files` only from there
    theirs = from_lm_eval(policy, folder, "animals", **settings)
    assert (score.value, score.n) == (pytest.approx(theirs["acc_norm,none"]), theirs["sample_len"])
    assert 0 < score.value < 1


def test_a_benchmark_is_asked_under_the_autocast_of_the_policy(policy: Any, tmp_path: Path) -> None:
    cast, seen = TinyPolicy(policy.model, policy.tokenizer, autocast_dtype=torch.bfloat16), set()
    handle = policy.model.lm_head.register_forward_hook(lambda _module, _inputs, output: seen.add(output.dtype))
    prepare(write_task(tmp_path, "animals"), tasks="animals").score(cast, EVALUATION)
    handle.remove()
    assert seen == {torch.bfloat16}


@pytest.mark.parametrize(("metric", "extra"), [("acc", {}), ("acc_norm", {"num_fewshot": 2})])
def test_items_hold_question_choice_and_expected_choice(
    policy: Any, tmp_path: Path, metric: str, extra: dict[str, Any]
) -> None:
    folder = write_task(tmp_path, "animals", choice_rows(30), fewshot_split="test")
    _, items = prepare(folder, tasks="animals", metric=metric, **extra).score(policy, EVALUATION)
    rows = choice_rows(30)
    assert [item.prompt for item in items] == [row["question"] for row in rows]  # without the examples before it
    assert [item.expected for item in items] == [row["choices"][row["answer"]] for row in rows]
    # the answer is the choice that the metric took: it is right where, and only where, the item scored
    assert [float(item.completion == item.expected) for item in items] == [item.score for item in items]
    assert {item.score for item in items} == {0.0, 1.0}


def test_generated_answers_are_the_models(policy: Any, tmp_path: Path) -> None:
    rows = [{"question": f"after {letter}?", "answer": "nothing like it"} for letter in "abcdefgh"]
    benchmark = prepare(write_generation(tmp_path / "one", "say", rows), tasks="say", apply_chat_template=True)
    score, items = benchmark.score(policy, EVALUATION)
    assert score.value == 0
    # what it wrote becomes the answer of the first six of eight: 6/8, and the sample's variance is 8/7 * 3/16
    known = [{**row, "answer": item.details["completion"]} for row, item in zip(rows[:6], items, strict=False)]
    benchmark = prepare(
        write_generation(tmp_path / "two", "say", [*known, *rows[6:]]), tasks="say", apply_chat_template=True
    )
    score, items = benchmark.score(policy, EVALUATION)
    assert (score.value, score.stderr) == (0.75, pytest.approx((8 / 7 * 3 / 16 / 8) ** 0.5))
    assert score.item_values == (1, 1, 1, 1, 1, 1, 0, 0)
    assert len(set(score.item_ids)) == 8


def test_asked_again_and_of_another_model(policy: Any, tmp_path: Path) -> None:
    benchmark = prepare(
        write_task(tmp_path, "animals", choice_rows(40), fewshot_split="test"), tasks="animals", num_fewshot=2
    )
    first = benchmark.score(policy, EVALUATION)
    other = benchmark.score(tiny_policy(seed=1), EVALUATION)
    assert benchmark.score(policy, EVALUATION) == first
    assert other[0].item_ids == first[0].item_ids
    assert other[0].item_values != first[0].item_values


def test_leaves_no_trace(policy: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model, tokenizer = policy.model, policy.tokenizer
    folder = write_generation(tmp_path, "say", [{"question": "after a?", "answer": "b"}] * 4)
    model.train()
    model.model.layers[0].eval()
    modes = [module.training for module in model.modules()]
    sides = (tokenizer.padding_side, tokenizer.pad_token)
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(7)
    expected = random.random(), np.random.random(), torch.rand(1).item()
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(7)
    try:
        benchmark = prepare(folder, tasks="say", apply_chat_template=True)
        benchmark.score(policy, EVALUATION)
        assert [module.training for module in model.modules()] == modes
    finally:
        model.eval()
    assert (random.random(), np.random.random(), torch.rand(1).item()) == expected
    assert (tokenizer.padding_side, tokenizer.pad_token) == sides
    assert capfd.readouterr() == ("", "")


def test_a_group_is_the_mean_over_all_its_items(policy: Any, tmp_path: Path) -> None:
    write_task(tmp_path, "few", choice_rows(3))
    write_task(tmp_path, "many", choice_rows(21)[3:])
    (tmp_path / "zoo.yaml").write_text("{group: zoo, task: [few, many]}")
    whole, _ = prepare(tmp_path, tasks="zoo").score(policy, EVALUATION)
    few, _ = prepare(tmp_path, tasks="few").score(policy, EVALUATION)
    many, _ = prepare(tmp_path, tasks="many").score(policy, EVALUATION)
    assert whole.value == pytest.approx((3 * few.value + 18 * many.value) / 21)
    assert few.value != many.value
    assert whole.n == len(set(whole.item_ids)) == 21


def test_the_name_is_the_title(policy: Any, tmp_path: Path) -> None:
    settings = Benchmark(tasks="animals", name="zoology", include_path="tasks", limit=5)
    write_task(tmp_path / "tasks", "animals")
    (benchmark,) = prepare_benchmarks([settings], tmp_path).benchmarks
    score, _ = benchmark.score(policy, EVALUATION)
    assert (score.name, score.kind, score.n) == ("zoology", "benchmark", 5)


def test_fingerprint_follows_the_content_and_not_the_place(tmp_path: Path) -> None:
    def fingerprint(folder: str, rows: int = 12, settings: dict[str, Any] | None = None, **task: Any) -> str:
        write_task(tmp_path / folder, "animals", choice_rows(rows), fewshot_split="test", **task)
        return prepare(tmp_path / folder, tasks="animals", **(settings or {})).fingerprint

    first = fingerprint("here")
    assert first == fingerprint("there")
    others = {
        fingerprint("rows", rows=11),
        fingerprint("text", doc_to_text="{{question}}!"),
        fingerprint("here", settings={"limit": 4}),
        fingerprint("here", settings={"num_fewshot": 2}),
        fingerprint("here", settings={"metric": "acc_norm"}),
        fingerprint("here", settings={"apply_chat_template": True}),
    }
    assert len(others | {first}) == 7
    # beyond the limit nothing counts
    assert fingerprint("here", settings={"limit": 4}) == fingerprint("rows", rows=11, settings={"limit": 4})


def refusal(error: type[Exception], folder: Path, **settings: Any) -> str:
    with pytest.raises(error) as caught:
        prepare(folder, **settings)
    return str(caught.value)


def test_unknown_names(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_task(tmp_path, "animals")
    assert "did you mean 'animals'?" in refusal(ConfigError, tmp_path, tasks="animal")
    assert "did you mean 'hellaswag'?" in refusal(ConfigError, tmp_path, tasks="helaswag")
    assert "is not a folder" in refusal(ConfigError, tmp_path / "nowhere", tasks="animals")
    (tmp_path / "broken.yaml").write_text("task: broken\n  output_type: x")
    assert "broken.yaml cannot be read" in refusal(ConfigError, tmp_path, tasks="broken")
    assert capfd.readouterr() == ("", "")


def test_metrics_that_cannot_be_used(tmp_path: Path) -> None:
    write_task(tmp_path, "animals")
    assert "Set `metric` to one of: acc, acc_norm" in refusal(ConfigError, tmp_path, tasks="animals", metric="f1")
    assert "has no filter 'strict'; it has: none" in refusal(
        ConfigError, tmp_path, tasks="animals", metric="acc,strict"
    )
    down = [{"metric": "acc", "aggregation": "mean", "higher_is_better": False}]
    write_task(tmp_path, "down", metric_list=down)
    assert "higher must be better" in refusal(ConfigError, tmp_path, tasks="down")


def test_settings_that_do_not_fit(tmp_path: Path) -> None:
    write_task(tmp_path, "fixed", num_fewshot=0)
    assert "fixes it at 0" in refusal(ConfigError, tmp_path, tasks="fixed", num_fewshot=3)
    write_task(tmp_path, "short", choice_rows(4), fewshot_split="test")
    assert "num_fewshot 9" in refusal(DataError, tmp_path, tasks="short", num_fewshot=9)
    write_task(tmp_path, "column", doc_to_text="{{no_such_column}}")
    assert "no_such_column" in refusal(ConfigError, tmp_path, tasks="column")


def test_code_is_not_executed(tmp_path: Path) -> None:
    folder = write_task(tmp_path, "coding", unsafe_code=True)
    text = (folder / "coding.yaml").read_text()
    (folder / "coding.yaml").write_text(text.replace('"{{question}}"', "!function evil.text"))
    (folder / "evil.py").write_text("raise SystemExit('imported')\n")
    (folder / "zoo.yaml").write_text("{group: zoo, task: [animals, coding]}")
    write_task(tmp_path, "animals")
    for name in ("coding", "zoo"):
        assert "executes code that the model writes" in refusal(ConfigError, tmp_path, tasks=name)
    prepare(tmp_path, tasks="animals")


def test_data_that_is_missing_or_out_of_reach(tmp_path: Path) -> None:
    write_task(tmp_path, "gone", dataset_kwargs={"data_files": {"test": "gone-away.jsonl"}})
    assert "gone-away.jsonl" in refusal(DataError, tmp_path, tasks="gone")
    write_task(tmp_path, "split", test_split="validation")
    assert "validation" in refusal(ConfigError, tmp_path, tasks="split")
    (tmp_path / "far.py").write_text("def load(**_):\n    raise ConnectionError(\"Couldn't reach 'a/b' on the Hub\")\n")
    far = write_task(tmp_path, "far", custom_dataset="FAR")
    (far / "far.yaml").write_text((far / "far.yaml").read_text().replace('"FAR"', "!function far.load"))
    message = refusal(DataError, tmp_path, tasks="far", trust_task_code=True)
    assert "Couldn't reach 'a/b' on the Hub" in message
    assert "include_path" in message


def test_a_model_that_cannot_be_asked(policy: Any, tmp_path: Path) -> None:
    plain = TinyPolicy(policy.model, tiny_policy().tokenizer)
    plain.tokenizer.chat_template = None
    write_task(tmp_path, "animals")
    with pytest.raises(ModelError, match="no chat template"):
        prepare(tmp_path, tasks="animals", apply_chat_template=True).score(plain, EVALUATION)
    write_generation(tmp_path, "long", [{"question": "a?", "answer": "b"}] * 2, tokens=128)
    with pytest.raises(ModelError, match="allows 128 tokens, but the model's context holds 128"):
        prepare(tmp_path, tasks="long").score(policy, EVALUATION)


@pytest.mark.parametrize(("long", "refused"), [(1, False), (2, True)])
def test_a_context_that_holds_half_of_the_questions_at_most_is_refused(
    long: int, refused: bool, policy: Any, tmp_path: Path
) -> None:
    rows = choice_rows(4)
    rows = [row | {"question": "a " * 200 + row["question"]} for row in rows[:long]] + rows[long:]
    write_task(tmp_path, "animals", rows)
    found = prepare(tmp_path, tasks="animals")
    if not refused:
        assert found.score(policy, EVALUATION)[0].n == 4
        return
    for ask in (lambda: found.refuse_unfit(policy), lambda: found.score(policy, EVALUATION)):
        with pytest.raises(ModelError, match=r"of 2 of its first 4 items have up to \d+ tokens, but the model's"):
            ask()


def test_no_benchmarks() -> None:
    assert prepare_benchmarks([]).fingerprints == {}
