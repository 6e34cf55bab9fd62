"""The samples of the control world (see `curriculum/file/sample.py`)."""

SAMPLE = """\
model:
  type: control
  policy:
    type: transformer
    hidden_size: 64
    num_hidden_layers: 2
    patch_size: 3
  pretrain:
    tasks:
      - task:
          type: gymnasium
          id: BabyAI-GoToRedBallGrey-v0
          horizon: 32
          heldout: 100
          demonstrations:
            type: expert
            noise: 0.1
        episodes: 200
      - task: {type: gymnasium, id: BabyAI-GoToObj-v0, horizon: 32, heldout: 100, demonstrations: {type: expert}}
        episodes: 20
    max_steps: 400
    learning_rate: 2e-3

seed: 0
tracking: [trackio]  #off
keep: last  #off
code_dir: .  #off

budget:
  kl: 5.0
  enforce: rollback
  every: 15

strategy:
  type: fixed
  method: rl

train:
  max_steps: 60
  rl:
    learning_rate: 3e-4
    num_generations: 6
    num_iterations: 4
  sft:
    learning_rate: 1e-3

stages:
  - name: go_to_object
    task:
      type: gymnasium
      id: BabyAI-GoToObj-v0
      horizon: 32
      train: 64
      heldout: 100
      demonstrations:
        type: expert
      success: return > 0  #off
  - name: go_to_local  #off
    task:  #off
      type: gymnasium  #off
      id: BabyAI-GoToLocal-v0  #off
      horizon: 32  #off
      demonstrations:  #off
        type: expert  #off
        noise: 0.1  #off
    method: sft+replay  #off

benchmarks:
  - type: task
    name: red_ball
    task:
      type: gymnasium
      id: BabyAI-GoToRedBallGrey-v0
      horizon: 32
      heldout: 100

evaluation:
  temperature: 1.0

environment:
  gain_weight: 1.0
  forgetting_weight: 1.0
  benchmark_weight: 1.0
"""

MINIMAL = """\
model:
  type: control
  policy: {type: transformer, patch_size: 3}
  pretrain:
    max_steps: 400
    tasks:
      - task: {type: gymnasium, id: BabyAI-GoToRedBallGrey-v0, horizon: 32, demonstrations: {type: expert}}
        episodes: 200
budget:
  kl: 5.0   # nats a decision, from the base
strategy:
  type: fixed
  method: sft
train:
  max_steps: 60
stages:
  - name: go_to_object
    task: {type: gymnasium, id: BabyAI-GoToObj-v0, horizon: 32, demonstrations: {type: expert}}
benchmarks:
  - {type: task, name: red_ball, task: {type: gymnasium, id: BabyAI-GoToRedBallGrey-v0, horizon: 32}}
"""
