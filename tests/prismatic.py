"""A checkpoint of random weights in OpenVLA's layout: its code comes with it, and the image stands behind the first
token of the prompt (`prismatic/extern/hf` of https://github.com/openvla/openvla).
"""

import json
from pathlib import Path

from tests.vla_models import TEXT, tokenizer

CODE = """
import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, BatchFeature, CLIPImageProcessorPil, LlamaConfig
from transformers import PreTrainedConfig, PreTrainedModel


class TinyConfig(PreTrainedConfig):
    model_type = "tiny_prismatic"
    sub_configs = {"text_config": LlamaConfig}

    def __init__(self, text_config=None, pad_to_multiple_of=0, n_action_bins=8, norm_stats=None, **more):
        self.text_config = text_config if isinstance(text_config, LlamaConfig) else LlamaConfig(**(text_config or {}))
        self.pad_to_multiple_of, self.n_action_bins, self.norm_stats = pad_to_multiple_of, n_action_bins, norm_stats
        super().__init__(**more)


class TinyPrismatic(PreTrainedModel):
    config_class = TinyConfig
    _tied_weights_keys = {}

    def __init__(self, config):
        super().__init__(config)
        width = config.text_config.hidden_size
        self.vision_backbone = nn.Conv2d(3, width, 8, 8)
        self.projector = nn.Linear(width, width)
        self.language_model = AutoModelForCausalLM.from_config(config.text_config)
        self.post_init()

    def forward(self, input_ids, attention_mask=None, pixel_values=None, use_cache=None, **more):
        patches = self.projector(self.vision_backbone(pixel_values).flatten(2).transpose(1, 2))
        words = self.language_model.get_input_embeddings()(input_ids)
        seen = torch.cat([words[:, :1], patches, words[:, 1:]], dim=1)
        return self.language_model(inputs_embeds=seen, use_cache=use_cache)


class TinyProcessor:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.pictures = CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})

    @classmethod
    def from_pretrained(cls, folder, **more):
        return cls(AutoTokenizer.from_pretrained(folder))

    @classmethod
    def register_for_auto_class(cls, name="AutoProcessor"):
        pass

    def __call__(self, text, images, return_tensors):
        pixels = self.pictures(images, return_tensors=return_tensors)["pixel_values"]
        tokens = self.tokenizer(text, return_tensors=return_tensors)["input_ids"]
        return BatchFeature({"input_ids": tokens, "pixel_values": pixels})
"""


def save_prismatic(folder: Path, *, actions: int, padding: int = 5, seed: int = 0) -> Path:
    """A model of about 100,000 parameters, whose vocabulary ends with `padding` rows that are no tokens."""
    import importlib.util

    import torch
    from transformers import LlamaConfig

    folder.mkdir(parents=True)
    (folder / "modeling_tiny.py").write_text(CODE)
    spec = importlib.util.spec_from_file_location("modeling_tiny", folder / "modeling_tiny.py")
    assert spec is not None and spec.loader is not None, "it is a file of Python"
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    words = tokenizer(actions)
    text = LlamaConfig(**TEXT, vocab_size=len(words) + padding, bos_token_id=256, eos_token_id=257)
    statistics = {"tiny": {"action": {"q01": [-1.0, -0.5], "q99": [1.0, 0.5], "mask": [True, True]}}}
    config = module.TinyConfig(text.to_dict(), padding, actions, statistics)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module.TinyPrismatic(config).save_pretrained(folder)
    words.save_pretrained(folder)
    said = json.loads((folder / "config.json").read_text())
    said["auto_map"] = {
        "AutoConfig": "modeling_tiny.TinyConfig",
        "AutoModelForImageTextToText": "modeling_tiny.TinyPrismatic",
        "AutoProcessor": "modeling_tiny.TinyProcessor",
    }
    (folder / "config.json").write_text(json.dumps(said))
    return folder
