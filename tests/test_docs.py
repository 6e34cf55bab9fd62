"""What the documents say holds: files and curricula are valid, commands and flags exist, links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from perdure.agent.strategies import STRATEGIES
from perdure.cli.main import app
from perdure.curriculum.file.document import parse
from perdure.curriculum.file.reader import read_curriculum
from perdure.curriculum.sweeps.reader import read_sweep
from perdure.curriculum.tracking import SECTIONS
from perdure.curriculum.worlds.registry import spec_of, worlds

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"^`([\w./-]+)`[^\n`]*:\n\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
"""A file of a page: its name, a colon, and its text as a block."""


def blocks(page: Path, *languages: str) -> list[str]:
    return [text for language, text in BLOCK.findall(page.read_text()) if language in languages]


@pytest.fixture
def cookbook(tmp_path: Path) -> Path:
    """A folder with the files of the cookbook."""
    for name, text in FILE.findall((ROOT / "docs" / "cookbook.md").read_text()):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_curriculum_in_the_readme_is_valid(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(blocks(ROOT / "README.md", "yaml")[0])
    (tmp_path / "support.jsonl").write_text('{"ticket": "It broke.", "reply": "Sorry."}\n')
    curriculum = read_curriculum(tmp_path / "mine.yaml").curriculum
    assert [stage.name for stage in curriculum.stages] == ["words", "support"]


def test_the_files_of_the_cookbook_are_valid(cookbook: Path) -> None:
    files = sorted(cookbook.glob("*.yaml"))
    assert len(files) >= 8
    for file in files:
        if file.read_text().startswith("curriculum:"):
            assert read_sweep(file).cells
        else:
            read_curriculum(file)


def test_every_block_of_the_cookbook_is_a_file_or_commands() -> None:
    text = (ROOT / "docs" / "cookbook.md").read_text()
    others = [language for language, _ in BLOCK.findall(text) if language != "sh"]
    assert len(FILE.findall(text)) == len(others)


def test_the_robot_of_the_page_on_control_can_be_read(tmp_path: Path) -> None:
    page = ROOT / "docs" / "control.md"
    (tmp_path / "my_robots.py").write_text(blocks(page, "python")[0])
    (tmp_path / "mine.yaml").write_text(blocks(page, "yaml")[0])
    assert read_curriculum(tmp_path / "mine.yaml").curriculum.stages[0].name == "lift"


def test_the_sweep_of_the_page_on_sweeps_is_valid(tmp_path: Path) -> None:
    sweep, curriculum, workers = blocks(ROOT / "docs" / "sweeps.md", "yaml")
    (tmp_path / "even.yaml").write_text(curriculum)
    (tmp_path / "grid.yaml").write_text(sweep + workers)
    assert len(read_sweep(tmp_path / "grid.yaml").cells) == 18


def test_the_strategies_of_their_page_are_valid(tmp_path: Path) -> None:
    page = ROOT / "docs" / "strategies.md"
    (tmp_path / "thrift.py").write_text(blocks(page, "python")[0])
    task = "{type: images, images: digits, rule: parity, writer: one}"
    rest = f"model: {{type: mlp}}\nbudget: {{kl: 1}}\nstages: [{{name: even, task: {task}}}]\n"
    for text in blocks(page, "yaml"):
        (tmp_path / "mine.yaml").write_text(rest + text)
        read_curriculum(tmp_path / "mine.yaml")


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "yaml")], ids=lambda page: page.stem)
def test_every_yaml_block_is_yaml(page: Path) -> None:
    for text in blocks(page, "yaml"):
        parse(text, page.name)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.stem)
def test_every_python_block_is_python(page: Path) -> None:
    for text in blocks(page, "python"):
        compile(text, page.name, "exec")


def commands(page: Path) -> list[list[str]]:
    """The words after `perdure` of every command in a block of a page."""
    lines = [line for text in blocks(page, "sh", "bash") for line in text.replace("\\\n", " ").splitlines()]
    found = [shlex.split(line, comments=True) for line in lines if re.match(r"(\S*/)?perdure ", line)]
    return [words[1 : words.index(";")] if ";" in words else words[1:] for words in found]


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.stem)
def test_every_command_and_flag_exists(page: Path) -> None:
    group = typer.main.get_command(app)
    for verb, *rest in commands(page):
        command = group.get_command(typer.Context(group), verb)  # type: ignore[attr-defined]
        assert command is not None, f"perdure {verb}"
        context = typer.Context(command, info_name=verb)
        command.make_parser(context).parse_args([word for word in rest if word not in ("|", ">", "jq", ".metrics")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_within_the_project_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_to_headings_lead_to_one(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?://)([^)#]*)#([^)]+)\)", page.read_text()):
        text = (page.parent / target if target else page).read_text()
        headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert anchor in anchors, f"{page.name} links to #{anchor} of {target or 'itself'}"


PARTS = sorted({part for spec in worlds().values() for part in (*spec.objectives, *spec.modifiers)})
"""Every objective and modifier of any world."""


@pytest.mark.parametrize("page", ["README.md", "docs/glossary.md"])
def test_every_objective_and_modifier_is_named(page: str) -> None:
    text = (ROOT / page).read_text()
    assert [part for part in PARTS if f"`{part}`" not in text] == []


def test_the_table_of_the_vision_world_has_its_methods() -> None:
    rows = re.findall(r"^\| (`.*?) \|", (ROOT / "docs" / "vision.md").read_text(), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`\+?(\w+)`", row)}
    spec = spec_of("vision")
    assert {*spec.objectives, *spec.modifiers} <= named


def test_every_reward_by_name_and_every_strategy_is_on_its_page() -> None:
    quickstart, strategies = ((ROOT / "docs" / page).read_text() for page in ("quickstart.md", "strategies.md"))
    rewards = [one.name for one in spec_of("language").rewards if one.key == "reward.type"]
    assert [name for name in rewards if name != "source" and f"`{name}`" not in quickstart] == []
    assert [name for name in STRATEGIES if f"| `{name}` |" not in strategies] == []


def test_every_tracker_is_on_its_page() -> None:
    text = (ROOT / "docs" / "tracking.md").read_text()
    assert [name for name in SECTIONS if name not in text] == []
