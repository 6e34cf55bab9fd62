"""What the reference says before its tables."""

INTRODUCTION = """\
# The curriculum

<!-- Written from the schema by: python -m perdure.curriculum.file.reference > docs/curriculum.md -->

A curriculum is one YAML file: a base model, a budget, a way to choose the method, a stream of stages, and the
benchmarks that must be kept. Its model says which world it is of: `language` (causal language models), `vision` (small
image classifiers, `type: mlp`) or `control` (policies of robots and games, `type: control`). `perdure sample` prints a
commented file, `perdure validate FILE` checks one, `perdure run FILE` runs it. FILE is a path or the name of a shipped
curriculum; an existing file wins.

Each setting stands here once. A heading such as `model: mlp` means `type: mlp` under `model`. A dash is no default; in
the language world TRL's then holds. Unknown keys, values of another type, and settings that the world lacks or that
could have no effect are refused, all faults at once, as `file:line:column: path: rule`. YAML is read as version 1.2:
`1e-5` is a number, `yes` is text, and no key is given twice.

## Paths

`model.model_name_or_path`, `model.data`, `budget.generic`, `budget.law`, a benchmark's `include_path`, the `path` and
`data_files` of a `dataset` task and the `data` of an `images` task may be local. They are relative to the curriculum's
folder; in a `--set`, to the current one. `~` is the home folder. A path that begins with `/`, `./`, `../` or `~`, or a
dataset that ends in `.json`, `.jsonl`, `.csv` or `.parquet`, must exist. Another name, such as `org/name`, is a hub id
unless a file or folder has that name. `data_files` without a leading `./` lie in the dataset's own folder or
repository, or are local files if `path` is a reader of `datasets` (`json`, `csv`, `parquet`, `text`, `arrow`).

## Overrides

`--set path=value` sets one value; it may be repeated, and the last wins. A path is made of keys, list indices and names
of stages or benchmarks: `stages.0.train.learning_rate=1e-5`, `stages.sums.method=rl`. The value is YAML:
`--set model.lora={r: 8}` sets a map, `--set model.lora=null` removes it. `--seed N` is `--set seed=N`, and comes last.

## Which setting wins

From the weakest to the strongest:

1. the method's default;
2. what a recipe sets;
3. the curriculum's `train`, then its section of the objective (for `gate` that of `rl`, then its own), then that of the
   recipe;
4. the same three of the stage.

Only a recipe's own section overrides what the recipe sets, such as the `token_weight` of `eaft`; a `beta` of 0 does not
reach `rl_kl` or `sft_kl` from elsewhere. A modifier reads its own section, such as `train.replay`, then the recipe's;
of `train` itself only `beta` reaches one, that of `sft_kl`. `trl` maps are merged key by key. The method of a stage is
its own `method`, or else what `strategy` says.

## Enforcement and allocation

`budget.kl` caps the whole run, and `budget.allocation` divides what remains: a stage's cap is the KL when it begins and
its share of the rest. `budget.enforce` is one word or a list:

| word | what it does | beside |
|---|---|---|
| `observe` | only measures | nothing |
| `stop` | ends an update at the first reading above the cap, and keeps what it reached | `penalty`, `recover` |
| `rollback` | goes back to the last state within the cap | `penalty`, `recover` |
| `project` | goes back along the line to the last state within the cap, as little as needed | `penalty`, `recover` |
| `penalty` | adds a KL term to every method's loss, its weight steered to the cap | any but `observe` |
| `recover` | if a stage ends above the cap, distils from the base | any but `observe` |

Choose at most one of `observe`, `stop`, `rollback` and `project`. With `rollback` or `project` no stage is committed
above its cap; with `stop`, or with `penalty` and `recover` alone, one may be. Under `project`, and beside `penalty` or
`recover`, an update goes on above the cap, since something brings it back. A setting whose switch comes from a `--set`
or a sweep may stand without effect, so that one run can turn off what a file sets.

## Methods

`method: OBJECTIVE [+ MODIFIER]…`, such as `sft`, `rl+replay` or `chord+replay+kl`: the gradient is that of the
objective, and modifiers add to it, in any order. A recipe is a name for a combination with settings; one without
modifiers can be given some (`eaft+replay`). Its section under `train` takes the settings of its parts.

METHODS
## Strategies

`fixed` uses one method. `rule` chooses one of three by the base rate, the demonstrations and the remaining budget.
`probe` tries each candidate for a few steps on a copy of the policy; `bandit` learns over the stages which one
pays; `race` starts them in earnest and lets the best go on. Candidates that cannot learn a task are skipped; a task
that none can learn is refused. `python` is your own. A stage with its own `method` asks no strategy.

"""
