"""The language world behind the loop's contract."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from perdure.agent.seeds import derive
from perdure.agent.weights import trained
from perdure.agent.worlds.base_prompts import RECOVER
from perdure.agent.worlds.contract import Largest, Outcome, UpdateJob, Watch
from perdure.agent.worlds.language.adapter import layers_of
from perdure.agent.worlds.language.base_loss import Base
from perdure.agent.worlds.language.base_texts import BaseTexts, load_base_texts, sample_base_texts, save_base_texts
from perdure.agent.worlds.language.conversations import fitted
from perdure.agent.worlds.language.demonstrations import conflicts_of, surprisals_of
from perdure.agent.worlds.language.fit import refuse_unfit
from perdure.agent.worlds.language.generation import end_tokens
from perdure.agent.worlds.language.loading import load_base, load_policy
from perdure.agent.worlds.language.methods.low_rank import matrices
from perdure.agent.worlds.language.neutral import neutral_prompts, refuse_silence
from perdure.agent.worlds.language.policy import LanguagePolicy
from perdure.agent.worlds.language.precision import seconds_of_product, slow_bfloat16
from perdure.agent.worlds.language.recover import recover
from perdure.agent.worlds.language.vllm.server import VllmServer
from perdure.agent.worlds.sizes import sizes_of
from perdure.budget import ranks
from perdure.budget.base_id import with_settings
from perdure.budget.config import RecoverConfig
from perdure.budget.errors import ModelError
from perdure.budget.estimate import Estimate
from perdure.budget.files import make_folder
from perdure.budget.monitor import GENERIC, Measurement
from perdure.curriculum.evaluation import Evaluation
from perdure.curriculum.schema import Curriculum
from perdure.curriculum.task import Item, Task
from perdure.curriculum.worlds.language.model import CausalModel
from perdure.curriculum.worlds.methods import Sizes
from perdure.eval.shared_prefix import unshared
from perdure.eval.unwrapped import unwrapped


class LanguageWorld:
    """A causal language model that is trained by TRL and measured on texts of its base.

    `base_id` (see `World.base_id`) is the hash of the base's weights, behind the precision where it is not float32
    throughout. A fresh adapter is drawn from the seed and is not part of the base, so with LoRA it is not hashed. Where
    the model named is an adapter, the base is that adapter merged into its own base, and `resolved` says so.
    """

    kind = "language"

    def __init__(self, curriculum: Curriculum) -> None:
        assert isinstance(curriculum.model, CausalModel), "a curriculum of the language world"
        self._curriculum = curriculum
        self._model = curriculum.model
        self._layers = [one.model_name_or_path for one in layers_of(self._model)]
        server = _server_of(curriculum.evaluation)
        self.policy = load_policy(self._model, seed=curriculum.seed)
        self.policy.server = server
        self._base: BaseTexts | None = None
        self._fingerprint = self.policy.fingerprint()
        weights = self.policy.frozen_digest if self.policy.is_adapter else self._fingerprint
        self.base_id = with_settings(self.policy.precision.settings, weights)
        if not self.policy.is_adapter:
            self.policy.load_base = self._load_base
        self.warnings = tuple(_warnings(self.policy))

    @property
    def resolved(self) -> dict[str, str]:
        """See `World.resolved`."""
        model = self.policy.model
        threads = torch.get_num_threads() if model.device.type == "cpu" else 0
        found = {"device": str(model.device), "dtype": str(model.dtype), "threads": str(threads)}
        autocast = self.policy.autocast_dtype
        found |= {} if autocast is None else {"autocast": str(autocast)}
        found |= {} if self.policy.quantization is None else {"quantization": self.policy.quantization}
        places = sorted({str(place) for place in getattr(unwrapped(model), "hf_device_map", {}).values()})
        found |= {"devices": ", ".join(places)} if len(places) > 1 else {}
        found |= {} if ranks.count() == 1 else {"processes": str(ranks.count())}
        return found | ({"base": " merged into ".join(self._layers)} if len(self._layers) > 1 else {})

    def fitted(self, tasks: Sequence[Task]) -> tuple[Task, ...]:
        """See `World.fitted`. Calls of tools and reasoning that are learned become text."""
        model, tokenizer = self.policy.model, self.policy.tokenizer
        ends = tokenizer.convert_ids_to_tokens(sorted(end_tokens(model, tokenizer)))
        return tuple(fitted(tokenizer, task, ends) for task in tasks)

    def refuse_unfit(
        self,
        tasks: Sequence[Task],
        methods: Sequence[Sequence[str]],
        benchmarks: Sequence[Task],
        prompts: Mapping[str, Sequence[Any]],
    ) -> None:
        """See `World.refuse_unfit`."""
        refuse_unfit(self.policy, self._curriculum, tasks, methods, benchmarks, prompts)

    def neutral_prompts(self, count: int, curriculum: Curriculum) -> Sequence[Any]:
        """See `World.neutral_prompts`, and `neutral.py`."""
        return neutral_prompts(self.policy.tokenizer, count, derive(curriculum.seed, "neutral prompts"))

    def prepare_base(self, prompts: Mapping[str, Sequence[Any]], folder: Path, *, seed: int) -> None:
        """See `World.prepare_base`.

        Raises:
            ModelError: the base writes nothing on the generic probe.
        """
        if ranks.told(folder.exists):
            texts = load_base_texts(self.policy, list(prompts), folder)
        else:
            ranks.told(lambda: make_folder(folder))
            texts = sample_base_texts(
                self.policy,
                prompts,
                max_completion_length=self._curriculum.budget.max_completion_length,
                batch_size=self._curriculum.evaluation.batch_size,
                seed=seed,
            )
            if GENERIC in texts.texts:
                where = self._curriculum.budget.generic or "neutral openings and the chat template"
                refuse_silence(texts.texts[GENERIC], self.policy.end_tokens, where)
            ranks.told(lambda: save_base_texts(texts, folder))
            if not ranks.is_main():
                texts = load_base_texts(self.policy, list(prompts), folder)
        texts.put_away(folder)
        self._base = texts
        self.policy.base = Base(texts)

    def measure(self, names: Sequence[str]) -> Measurement:
        """See `World.measure`."""
        assert self._base is not None, "prepare_base comes first"
        with self._base.head_at_hand():
            return self._base.measure(names)

    def conflicts(self, items: Sequence[Item]) -> Estimate | None:
        """See `World.conflicts`."""
        assert self._base is not None, "prepare_base comes first"
        with self._base.head_at_hand():
            return conflicts_of(self._base, items)

    def kl_from_writer(self, items: Sequence[Item]) -> Sequence[float]:
        """See `World.kl_from_writer`."""
        assert self._base is not None, "prepare_base comes first"
        with self._base.head_at_hand():
            return surprisals_of(self._base, items)

    def update(self, job: UpdateJob) -> Outcome:
        """See `World.update`."""
        module = import_module(job.method.objective.code)
        return module.update(job)  # type: ignore[no-any-return]

    @property
    def sizes(self) -> Sizes:
        """See `World.sizes`. The matrices are those of `low_rank`."""
        parameters = list(self.policy.model.parameters())
        trained = [one for one in parameters if one.requires_grad]
        low_rank = list(matrices(self.policy.model).values())
        tables = [one.weight for one in self.policy.model.modules() if isinstance(one, torch.nn.Embedding)]
        found = sizes_of(parameters, trained, low_rank, held=False, has_base=self.policy.is_adapter, tables=tables)
        return replace(found, held=self._cast_bytes(parameters))

    def _cast_bytes(self, parameters: Sequence[Any]) -> int:
        """The bytes of the weights that autocast casts, which it keeps during a step."""
        autocast = self.policy.autocast_dtype
        if autocast is None:
            return 0
        cast = [one for one in parameters if one.is_floating_point() and one.dtype != autocast]
        return sum(int(one.numel()) * autocast.itemsize for one in cast)

    @contextmanager
    def largest_logits(self) -> Iterator[Largest]:
        """See `World.largest_logits`."""
        seen = Largest()
        handle = self.policy.model.get_output_embeddings().register_forward_hook(seen.see)
        try:
            yield seen
        finally:
            handle.remove()

    def recover(self, config: RecoverConfig, learning_rate: float, *, seed: int, watch: Watch) -> int:
        """See `World.recover`. The texts are those of the group `RECOVER`, which `prepare_base` was given."""
        unit = self._curriculum.budget.unit
        return recover(self.policy, (RECOVER,), unit, config, learning_rate, seed=seed, watch=watch)

    @property
    def trained(self) -> dict[str, Tensor]:
        """See `World.trained`. With LoRA they are the adapter's."""
        return trained(self.policy.model)

    def become_base(self) -> None:
        """See `World.become_base`."""
        self.policy.become_base(self._load_base)

    def _load_base(self) -> Any:
        """The base's model without an adapter, from where it was loaded first: the same revision, the same weights.

        Raises:
            ModelError: it cannot be loaded, or what lies there now is another model.
        """
        model = load_base(self._model)
        again = LanguagePolicy(model, self.policy.tokenizer).fingerprint()
        if again != self._fingerprint:
            name = self._model.model_name_or_path
            raise ModelError(f"model.model_name_or_path: {name!r} is no longer the model that this run began with")
        return model


def _server_of(evaluation: Evaluation) -> VllmServer | None:
    """The server that answers, which is up. Raises ModelError."""
    if evaluation.generate_with != "vllm":
        return None
    if ranks.count() > 1:
        raise ModelError(
            "evaluation.generate_with: vLLM is not asked by several processes, which split the answers themselves; "
            "leave it out, or start one process"
        )
    server = VllmServer(evaluation.vllm_server_base_url, evaluation.vllm_server_timeout)
    server.check()
    return server


def _warnings(policy: LanguagePolicy) -> Iterator[str]:
    """See `World.warnings`."""
    if policy.model.device.type == "cpu" and policy.precision.has_bfloat16:
        warning = slow_bfloat16(seconds_of_product(torch.bfloat16), seconds_of_product(torch.float32))
        if warning is not None:
            yield warning
    reason = unshared(policy.model) if policy.prefix_caching else None
    if reason is not None:
        yield f"each prompt is computed again for each of its answers or choices, since {reason}"
