"""The samples of the vision world (see `curriculum/file/sample.py`)."""

SAMPLE = """\
model:
  type: mlp
  hidden_sizes: [512, 256]
  data: shipped
  pretrain:
    images: 500
    num_train_epochs: 10

seed: 0
tracking: [trackio]  #off
keep: last  #off
code_dir: .  #off

budget:
  kl: 1.0
  prompts: task
  enforce: rollback
  every: 10
  num_prompts: 500

strategy:
  type: probe
  candidates: [sft, rl, tilt]
  k: 4

train:
  learning_rate: 3e-4
  num_train_epochs: 2
  per_device_train_batch_size: 64
  rl:
    beta: 0.1
    num_generations: 8
  sft:
    learning_rate: 1e-4

stages:
  - name: parity
    task:
      type: images
      images: digits
      rule: parity
      writer: one
  - name: at_least_five
    task:
      type: images
      images: digits
      rule: at_least_five
      writer: two
      variant: noisy  #off
      train: 1000  #off
    method: sft
    train:
      max_steps: 60

benchmarks:
  - type: task
    name: fashion
    task:
      type: images
      images: clothes
      rule: label

evaluation:
  temperature: 0.0

environment:
  gain_weight: 1.0
  forgetting_weight: 1.0
  benchmark_weight: 1.0
"""

MINIMAL = """\
model:
  type: mlp
budget:
  kl: 1.0   # nats an image, from the base
strategy:
  type: fixed
  method: sft
stages:
  - name: parity
    task: {type: images, images: digits, rule: parity}
benchmarks:
  - {type: task, name: fashion, task: {type: images, images: clothes, rule: label}}
"""
