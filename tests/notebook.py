"""Executes a notebook without Jupyter. As a script it writes the outputs into the file:

python -m tests.notebook examples/first_run.ipynb
"""

import ast
import base64
import contextlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import matplotlib

Output = dict[str, Any]
"""An output of a cell, as nbformat 4 has it."""


def execute(notebook: dict[str, Any]) -> list[list[Output]]:
    """The outputs of each code cell, run one after the other in the current folder."""
    matplotlib.use("Agg")
    names: dict[str, Any] = {"__name__": "__main__"}
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return [_run("".join(cell["source"]), names) for cell in cells]


def _run(source: str, names: dict[str, Any]) -> list[Output]:
    if source.startswith("%%writefile "):
        magic, _, text = source.partition("\n")
        Path(magic.split()[1]).write_text(text)
        return []
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(tree, "cell", "exec"), names)
        value = None if last is None else eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    found: list[Output] = []
    if printed.getvalue():
        found.append({"output_type": "stream", "name": "stdout", "text": printed.getvalue().splitlines(keepends=True)})
    if value is not None and not source.rstrip().endswith(";"):
        found.append({"output_type": "execute_result", "data": _shown(value), "metadata": {}, "execution_count": None})
    return found + _figures()


def _shown(value: Any) -> dict[str, Any]:
    html = getattr(value, "_repr_html_", None)
    return {"text/plain": repr(value)} | ({} if html is None else {"text/html": html()})


def _figures() -> list[Output]:
    """The open figures of matplotlib, closed."""
    from matplotlib import pyplot

    found = []
    for number in pyplot.get_fignums():
        data = io.BytesIO()
        pyplot.figure(number).savefig(data, format="png", dpi=72, metadata={"Software": None})
        pyplot.close(number)
        png = base64.b64encode(data.getvalue()).decode()
        found.append({"output_type": "display_data", "data": {"image/png": png}, "metadata": {}})
    return found


def main() -> None:
    """Execute the notebook in a folder of its own, and keep what it shows."""
    path = Path(sys.argv[1]).absolute()
    notebook = json.loads(path.read_text())
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        outputs = execute(notebook)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for number, (cell, shown) in enumerate(zip(code, outputs, strict=True), 1):
        cell["outputs"], cell["execution_count"] = shown, number
        for one in shown:
            if "execution_count" in one:
                one["execution_count"] = number
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
