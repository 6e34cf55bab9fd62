"""Demonstrations by a teacher: a small server of OpenAI's API, and a model in memory."""

import json
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Any

import pytest

from perdure.agent.demonstrate import Answer, Asked, Counts, demonstrate
from perdure.agent.worlds.language.teacher import Endpoint, make_teacher
from perdure.budget.errors import ConfigError, ModelError, RunError
from perdure.cli.commands.demonstrate import DemonstrateCall, demonstrate_command
from perdure.curriculum.task import Task
from perdure.curriculum.worlds.language.model import CausalModel
from tests.agent.worlds.language.tiny_world import tiny_policy
from tests.curriculum.worlds.language.sources.building import MATCH, SUMS, data, write_rows

ASKED = Asked(num_generations=2, max_completion_length=8, temperature=1.0, success=1.0)


class Server(ThreadingHTTPServer):
    """Answers sums: one choice is right, the next wrong; after `patience` questions it does what `then` says."""

    def __init__(self, choices: int = 2) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.choices, self.asked = choices, list[Any]()
        self.patience, self.then = 10**9, ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    """One question to `Server`."""

    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, body, self.headers["Authorization"]))
        if len(self.server.asked) > self.server.patience:
            self._fail()
            return
        number = int(body["messages"][-1]["content"].partition("+")[0])
        texts = [str(number + 1), "no"][: min(self.server.choices, body["n"])]
        self._say(200, {"choices": [{"message": {"content": text}} for text in texts]})

    def _fail(self) -> None:
        if self.server.then == "slow":
            sleep(0.5)
        with suppress(BrokenPipeError):
            self._say(503 if self.server.then == "busy" else 200, {"error": "overloaded"})

    def _say(self, code: int, reply: Any) -> None:
        data = json.dumps(reply).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as one:
        Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield one
        one.shutdown()


def sums(tmp_path: Path) -> Task:
    return data(write_rows(tmp_path / "sums.jsonl", SUMS), reward=MATCH | {"timeout": 0}, train=6)


def ask(task: Task, teacher: Any, output: Path, **more: Any) -> Counts:
    return demonstrate(task, teacher, ASKED, output, seed=0, show=lambda _: None, **more)


def test_what_the_reward_accepts_is_a_dataset_without_held_out_prompts(server: Server, tmp_path: Path) -> None:
    task, output = sums(tmp_path), tmp_path / "shown.jsonl"
    assert ask(task, Endpoint(server.url, "big", 5, "k"), output) == Counts(asked=6, solved=6, accepted=6)
    path, body, key = server.asked[0]
    assert (path, body["model"], body["n"], body["max_tokens"], key) == (
        "/v1/chat/completions",
        "big",
        2,
        8,
        "Bearer k",
    )
    again = data(output, reward=MATCH, train=50, heldout=2)
    shown = {item.prompt[0]["content"]: (item.demonstration, item.answer) for item in (*again.train, *again.heldout)}
    assert shown == {item.prompt[0]["content"]: (item.answer, item.answer) for item in task.train}
    assert ask(task, Endpoint(server.url, "big", 5, "k"), output).asked == len(server.asked) == 6  # nothing is left


@pytest.mark.parametrize(
    ("then", "message"),
    [
        ("slow", r"no answer in 0.2 s \(--timeout\); what was accepted is kept"),
        ("busy", r"it refused with 503 Service Unavailable: .*overloaded"),
        ("odd", "its reply has no answers as OpenAI's API writes them"),
    ],
)
def test_an_endpoint_that_fails_costs_nothing(then: str, message: str, server: Server, tmp_path: Path) -> None:
    task, output = sums(tmp_path), tmp_path / "shown.jsonl"
    server.patience, server.then = 3, then
    teacher = Endpoint(server.url, "big", 0.2, None)
    with pytest.raises(ModelError, match=message):
        ask(task, teacher, output)
    before = output.read_text()
    assert before.count("\n") == 3
    output.write_text(before + '{"prompt": "half a row')  # killed while it wrote the fourth
    server.patience = 10**9
    assert ask(task, Endpoint(server.url, "big", 5, None), output) == Counts(6, 6, 6)
    assert output.read_text().startswith(before) and output.read_text().count("\n") == 6
    with pytest.raises(RunError, match=r"begun with other settings \(teacher\)"):
        ask(task, Endpoint(server.url, "small", 5, None), output)
    other = tmp_path / "mine.jsonl"
    other.write_text("{}\n")
    with pytest.raises(RunError, match="exists and was not begun by this command"):
        ask(task, teacher, other)
    assert other.read_text() == "{}\n"


def test_a_server_of_one_choice_is_asked_again_and_calls_are_data(server: Server, tmp_path: Path) -> None:
    server.choices = 1
    assert ask(sums(tmp_path), Endpoint(server.url, "big", 5, None), tmp_path / "a.jsonl").accepted == 6
    assert [body["n"] for _, body, _ in server.asked] == [2, 1] * 6  # equal answers are one
    call = {"function": {"name": "add", "arguments": '{"a": 1}'}}
    reply = {"choices": [{"message": {"content": None, "tool_calls": [call]}}]}
    known = {"type": "function", "function": {"name": "add", "arguments": {"a": 1}}}
    text = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'
    turn = {"role": "assistant", "content": "", "tool_calls": [known]}
    assert Endpoint("http://x", "m", 1, None)._choices(reply) == [Answer(text, turn)]


def test_what_is_no_endpoint_is_refused() -> None:
    config = CausalModel(model_name_or_path="x")
    with pytest.raises(ConfigError, match="--endpoint needs --model"):
        make_teacher(config, None, "http://x", timeout=1, key=None)
    with pytest.raises(ConfigError, match="'file:///etc' is no http address"):
        make_teacher(config, "m", "file:///etc", timeout=1, key=None)
    closed = make_teacher(config, "m", "http://127.0.0.1:9", timeout=1, key=None)
    with pytest.raises(ModelError, match=r"the endpoint http://127\.0\.0\.1:9: .*refused"):
        closed.answers([[{"role": "user", "content": "a"}]], ASKED, seed=0)


def test_the_command_asks_a_local_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = tiny_policy()
    for part in (policy.model, policy.tokenizer):
        part.save_pretrained(tmp_path / "model")
    rows = write_rows(tmp_path / "ask.jsonl", [{"question": f"say {n}"} for n in range(12)])
    (tmp_path / "a.yaml").write_text(
        "model: {model_name_or_path: builtin:tiny, device: cpu}\nbudget: {kl: 1.0}\n"
        "strategy: {type: fixed, method: rl}\n"
        f"stages: [{{name: ask, task: {{type: dataset, path: {rows}, train: 9, heldout: 3, "
        "reward: {type: regex, pattern: .}}}]\n"
    )
    output = tmp_path / "shown.jsonl"
    given = (str(tmp_path / "model"), None, output, 2, 4, 1.0, 1.0, 1.0)
    demonstrate_command(DemonstrateCall(str(tmp_path / "a.yaml"), [], None, *given))
    out = capsys.readouterr().out
    assert "prompts; learn from it by" in " ".join(out.split())
    shown = [json.loads(line) for line in output.read_text().splitlines()]
    assert 9 <= len(shown) <= 18 and all(row["completion"][0]["content"] for row in shown)
    with pytest.raises(ConfigError, match="--stage 'aks': no such stage; did you mean 'ask'"):
        demonstrate_command(DemonstrateCall(str(tmp_path / "a.yaml"), [], "aks", *given))
