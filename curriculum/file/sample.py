"""The curriculum that `perdure sample` prints: small, working offline, and explained by the schema's descriptions."""

from textwrap import wrap

from perdure.curriculum.file import schema_paths
from perdure.curriculum.file.document import parse

OFF_MARK = "  #off"
"""The mark of the template's lines that are printed as comments."""

HEADER = """\
# A curriculum for perdure. Check it with `perdure validate FILE`, run it with `perdure run FILE`.
# Lines that begin with `#` and no space are settings that are off: remove the `#` to use them.
# Paths are relative to this file. Every key is in docs/curriculum.md.
"""

TEMPLATE = """\
model:
  model_name_or_path: builtin:tiny
  dtype: auto
  device: auto
  threads: auto
  lora:  #off
    r: 8  #off
    lora_alpha: 16  #off

seed: 0
code_dir: .  #off

budget:
  kl: 0.3
  unit: token
  prompts: seen
  enforce: [penalty, rollback]
  penalty:
    controller: dual_ascent
    target: 0.8
  allocation: greedy
  every: 10
  num_prompts: 16
  max_completion_length: 12

strategy:
  type: probe
  candidates: [sft, low_lr_sft, rl, chord]
  num_prompts: 16
  k: 4

train:
  max_steps: 30
  per_device_train_batch_size: 16
  num_generations: 8
  max_completion_length: 12
  lr_scheduler_type: constant
  save_steps: 10
  trl:
    logging_steps: 1
  sft:
    learning_rate: 3e-4
    max_length: 128  #off
  rl:
    learning_rate: 1e-4
    temperature: 1.0
    loss_type: dr_grpo  #off
    trl:  #off
      top_p: 0.95  #off
  chord:
    learning_rate: 1e-4
    mu_start: 0.9
    mu_end: 0.05

stages:
  - name: even_number
    task:
      type: python
      path: perdure.curriculum.worlds.language.skills:even_number
      train: 400
      heldout: 100
  - name: chain_sum
    task:
      type: reasoning_gym
      dataset: chain_sum
      config: {min_terms: 2, max_terms: 3, min_digits: 1, max_digits: 2}
      train: 400
      heldout: 100
    method: sft
    train:
      max_steps: 20
  - name: my_questions  #off
    task:  #off
      type: dataset  #off
      path: ./questions.jsonl  #off
      columns:  #off
        question: question  #off
        answer: answer  #off
      reward:  #off
        type: exact_match  #off
      heldout: 20  #off

benchmarks:
  - tasks: perdure_spell
    name: spelling
    include_path: builtin
    apply_chat_template: true
    limit: 50
    num_fewshot: 0

evaluation:
  batch_size: 64
  max_completion_length: 12

environment:
  gain_weight: 1.0
  forgetting_weight: 1.0
  benchmark_weight: 1.0
"""


def sample_curriculum() -> str:
    """A curriculum that validates and runs as it is; each key is explained where it first appears."""
    explained = _explanations()
    lines: list[str] = []
    column: int | None = None
    for number, line in enumerate(TEMPLATE.splitlines(), 1):
        indent = len(line) - len(line.lstrip())
        off = line.endswith(OFF_MARK)
        column = None if not off else indent if column is None else min(column, indent)
        lines += [f"{' ' * indent}# {part}" for part in wrap(explained.get(number, ""), 100 - indent)]
        lines.append(line if column is None else f"{line[:column]}#{line[column:].removesuffix(OFF_MARK)}")
    return f"{HEADER}\n{chr(10).join(lines)}\n"


def _explanations() -> dict[int, str]:
    """The description of the key on each line of the template, each text once."""
    document = parse(TEMPLATE, "sample")
    first: dict[str, int] = {}
    for path, place in document.keys.items():
        first.setdefault(schema_paths.describe_key(path, document.data), place.line or 0)
    return {line: text for text, line in first.items()}
