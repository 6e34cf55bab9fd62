"""An example a section of the reference: a part of a curriculum, which a test completes and reads."""

EXAMPLES = {
    "The top of the file": """
model: {model_name_or_path: builtin:tiny}
seed: 0
budget: {kl: 1.0}
strategy: {type: rule}
stages:
  - {name: sums, task: {type: reasoning_gym, dataset: chain_sum}}
benchmarks:
  - {tasks: hellaswag, limit: 200}
""",
    "model: causal_lm": "model: {model_name_or_path: Qwen/Qwen2.5-0.5B-Instruct, dtype: bfloat16, lora: {r: 16}}",
    "model: mlp": "model: {type: mlp, hidden_sizes: [256], pretrain: {images: 1000}}",
    "model: control": """
model:
  type: control
  policy: {type: mlp}
  pretrain:
    tasks:
      - task:
          type: gymnasium
          id: CartPole-v1
          success: return > 90
          demonstrations: {type: expert, expert: "mine:act"}
""",
    "model.lora": "model: {model_name_or_path: builtin:tiny, lora: {r: 8, target_modules: [q_proj, v_proj]}}",
    "model.pretrain": "model: {type: mlp, pretrain: {images: 500, num_train_epochs: 20}}",
    "model.policy: mlp": "model: {type: control, path: ./base, policy: {type: mlp, hidden_sizes: [64, 64]}}",
    "model.policy: transformer": "model: {type: control, path: ./base, policy: {type: transformer, patch_size: 3}}",
    "model.policy: vla": """
model: {type: control, bins: 256, policy: {type: vla, model_name_or_path: ORG/MODEL, lora: {r: 32}}}
""",
    "model.policy: worker": """
model:
  type: control
  policy: {type: worker, command: [~/openvla/bin/python], model_name_or_path: openvla/openvla-7b, lora: {r: 32},
           trust_remote_code: true, append_token: 29871}
""",
    "model.pretrain: control": """
model:
  type: control
  pretrain: {max_steps: 800, tasks: [{task: {type: gymnasium, id: BabyAI-OpenDoor-v0, demonstrations: {type: expert}}}]}
""",
    "model.pretrain.tasks": """
model:
  type: control
  pretrain:
    tasks:
      - {episodes: 400, task: {type: gymnasium, id: BabyAI-OpenDoor-v0, demonstrations: {type: expert}}}
""",
    "budget": "budget: {kl: 0.5, unit: token, enforce: [penalty, project], allocation: even, every: 10}",
    "budget.penalty": "budget: {kl: 0.5, enforce: penalty, penalty: {target: 0.9, weight: 0.2}}",
    "budget.recover": """
budget: {kl: 0.5, generic: "builtin:skills", enforce: [stop, recover], recover: {max_steps: 100}}
""",
    "strategy: fixed": "strategy: {type: fixed, method: rl+replay}",
    "strategy: rule": "strategy: {type: rule, k: 16, success: 0.02}",
    "strategy: probe": "strategy: {type: probe, candidates: [sft, low_lr_sft, rl_kl], forgetting_weight: 2}",
    "strategy: bandit": "strategy: {type: bandit, candidates: [sft, tilt], k: 8}",
    "strategy: race": "strategy: {type: race, candidates: [sft+replay, rl_kl, rl+replay, tilt], rungs: [10, 30]}",
    "strategy: python": 'strategy: {type: python, path: "mine:make_strategy", args: {patience: 2}}',
    "train": """
train:
  max_steps: 200
  learning_rate: 2e-5
  rl: {num_generations: 16}     # for `rl` alone
  trl: {logging_steps: 1}
""",
    "train.sft": "train: {sft: {per_device_train_batch_size: 32, max_length: 2048}}",
    "train.rl": "train: {rl: {num_generations: 16, beta: 0.02, loss_type: dapo}}",
    "train.chord": "train: {chord: {mu_start: 0.5, mu_end: 0.02, sft_batch_size: 16}}",
    "train.gate": "train: {gate: {success_reward: 1.0, sft_weight: 0.5}}",
    "train.tilt": "train: {tilt: {num_generations: 16, samples_from: base}}",
    "train.sdft": "train: {sdft: {teacher_decay: 0.95}}",
    "train.replay": "train: {replay: {replay_ratio: 0.2}}",
    "train.ewc": "train: {ewc: {ewc_lambda: 100, fisher_items: 128}}",
    "train.average": "train: {average: {average_share: 0.75, average_with: base}}",
    "train.cpo": "train: {cpo: {cpo_lambda: 30, protected: 0.2}}",
    "train.self_replay": "train: {self_replay: {self_replay_weight: 0.3, num_texts: 16}}",
    "train.l2": "train: {l2: {l2_lambda: 0.1}}",
    "train.kl": "train: {kl: {beta: 0.3}}",
    "train.low_rank": "train: {low_rank: {r: 4, lora_alpha: 8}}",
    "train.reinforce": "model: {type: mlp}\ntrain: {reinforce: {num_generations: 4}}",
    "train.simpo": "model: {type: mlp}\ntrain: {simpo: {beta: 1.0, simpo_gamma: 0.5}}",
    "stages": """
stages:
  - name: sums
    task: {type: reasoning_gym, dataset: chain_sum}
    method: rl+kl
    train: {learning_rate: 1e-6}
""",
    "stages.task: reasoning_gym": """
stages:
  - name: sums
    task: {type: reasoning_gym, dataset: chain_sum, config: {max_terms: 3}, train: 200, heldout: 100}
""",
    "stages.task: dataset": """
stages:
  - name: support
    method: sft
    task: {type: dataset, path: ORG/TICKETS, columns: {question: ticket, answer: reply}, where: {language: [de, en]}}
""",
    "stages.task: python": """
stages:
  - {name: mine, task: {type: python, path: "mine:make_task", args: {level: 2}}}
""",
    "stages.task: images": """
model: {type: mlp}
stages:
  - {name: primes, method: sft, task: {type: images, images: digits, rule: prime, writer: two}}
""",
    "stages.task: gymnasium": """
model: {type: control, path: ./base}
stages:
  - {name: pole, method: rl, task: {type: gymnasium, id: CartPole-v1, horizon: 100, success: return > 90}}
""",
    "stages.task.heldout": """
stages:
  - name: sums
    task:
      type: dataset
      path: ORG/SUMS
      columns: {question: problem, answer: solution}
      heldout: {path: ORG/EXAM, split: test, columns: {question: ask, answer: gold}, limit: 500}
""",
    "stages.task: tool_alpaca": """
stages:
  - name: tools
    task: {type: tool_alpaca, path: "https://HOST/train_data.json", reward: {type: tool_calls, partial: true}}
""",
    "stages.task: environment": """
stages:
  - name: guess
    method: rl
    task: {type: environment, path: "mine:Guess", data: "https://HOST/numbers.jsonl", heldout: 20}
""",
    "stages.task.heldout: tool_alpaca": """
stages:
  - name: tools
    task: {type: tool_alpaca, path: "https://HOST/train_data.json", heldout: {path: "https://HOST/eval_simulated.json"}}
""",
    "stages.task.reward": """
stages:
  - name: dates
    method: rl
    task: {type: dataset, path: ORG/DATES, reward: {type: regex, pattern: '\\\\d{4}-\\\\d\\\\d-\\\\d\\\\d'}}
""",
    "stages.task.reward.sandbox: bubblewrap": """
stages:
  - name: code
    task:
      type: dataset
      path: ORG/CODE
      columns: {tests: test}
      reward: {type: code_tests, sandbox: {type: bubblewrap, memory: 1024}}
""",
    "stages.task.reward.sandbox: podman": """
stages:
  - name: code
    task:
      type: dataset
      path: ORG/CODE
      reward: {type: code_tests, sandbox: {type: podman, image: localhost/python}}
""",
    "stages.task.starts: grid": """
model: {type: control, path: ./base}
stages:
  - name: pick
    method: rl
    task: {type: gymnasium, id: Meta-World/MT1, env_name: pick-place-v3, starts: {grid: [4, 4]}}
""",
    "stages.task.starts: given": """
model: {type: control, path: ./base}
stages:
  - name: pole
    method: rl
    task: {type: gymnasium, id: CartPole-v1, success: return > 90, train: 2, heldout: 2,
           starts: [{seed: 1}, {seed: 2}, {seed: 3}, {seed: 4}]}
""",
    "stages.task.demonstrations: expert": """
model: {type: control, path: ./base}
stages:
  - name: door
    method: sft
    task: {type: gymnasium, id: BabyAI-OpenDoor-v0, demonstrations: {type: expert, noise: 0.1}}
""",
    "stages.task.demonstrations: recorded": """
model: {type: control, path: ./base}
stages:
  - name: door
    method: sft
    task:
      type: gymnasium
      id: BabyAI-OpenDoor-v0
      demonstrations: {type: minari, path: minigrid/BabyAI-OpenDoor/optimal-v0}
""",
    "benchmarks: lm_eval": "benchmarks: [{tasks: arc_easy, limit: 500, num_fewshot: 5, metric: acc_norm}]",
    "benchmarks: task": """
benchmarks:
  - {type: task, name: spelling, task: {type: reasoning_gym, dataset: spell_backward, heldout: 200}}
""",
    "evaluation": "evaluation: {batch_size: 32, max_completion_length: 256}",
    "tracking: trackio": "tracking: [{type: trackio, project: forgetting}]",
    "tracking: wandb": "tracking: [{type: wandb, project: forgetting, tags: [seven-b], mode: offline}]",
    "tracking: tensorboard": "tracking: [tensorboard]",
    "tracking: mlflow": "tracking: [{type: mlflow, tracking_uri: 'http://localhost:5000', tags: {team: mine}}]",
    "environment": "environment: {gain_weight: 1, forgetting_weight: 2}",
}
"""YAML by heading."""
