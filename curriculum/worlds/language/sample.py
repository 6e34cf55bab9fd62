"""The samples of the language world (see `curriculum/file/sample.py`)."""

SAMPLE = """\
model:
  model_name_or_path: builtin:tiny
  dtype: auto
  device: auto
  threads: auto
  lora:  #off
    r: 8  #off
    lora_alpha: 16  #off

seed: 0
tracking: [trackio]  #off
keep: last  #off
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

MINIMAL = """\
model:
  model_name_or_path: builtin:tiny   # or a hub id, or a folder
budget:
  kl: 1.0                            # nats a token, from the base
  every: 5
strategy:
  type: fixed
  method: sft
train:
  learning_rate: 1e-4
  max_steps: 30
stages:
  - name: even_number
    task:
      type: python
      path: perdure.curriculum.worlds.language.skills:even_number
      # Your own: {type: dataset, path: ./mine.jsonl, columns: {question: question, answer: answer}}
benchmarks:
  - {tasks: perdure_spell, include_path: builtin, apply_chat_template: true, limit: 50}
"""
