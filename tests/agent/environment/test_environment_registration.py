"""gymnasium finds the environment by name, whichever of the two is imported first, and nobody pays who does not ask.

Each case is a process of its own: what is imported cannot be taken back.
"""

import subprocess
import sys

import pytest

FOUND = 'gymnasium.envs.registration._find_spec("perdure.agent.environment:Stream-v0").entry_point'


def printed(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    "imports",
    [
        "import gymnasium",
        "import perdure, gymnasium",
        "import perdure.budget.config, gymnasium",
        "import gymnasium, perdure",
        'import perdure, importlib.util; importlib.util.find_spec("gymnasium"); import gymnasium',
    ],
)
def test_gymnasium_finds_it(imports: str) -> None:
    assert printed(f"{imports}; print({FOUND})") == "perdure.agent.environment.stream:Stream"


def test_it_has_its_own_name_once_it_was_found() -> None:
    code = 'import perdure.agent.environment, gymnasium; print(gymnasium.spec("Stream-v0").id)'
    assert printed(code) == "Stream-v0"


def test_finding_it_loads_no_torch_and_the_command_line_no_gymnasium() -> None:
    assert printed(f'import sys, gymnasium; {FOUND}; print("torch" in sys.modules)') == "False"
    assert printed('import sys, perdure.cli.main; print("gymnasium" in sys.modules)') == "False"
