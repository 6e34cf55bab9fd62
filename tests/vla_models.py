"""Vision-language-action models of random weights, made from configurations alone."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForImageTextToText,
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    GemmaConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaProcessor,
    PaliGemmaConfig,
    PaliGemmaProcessor,
    PreTrainedTokenizerFast,
    SiglipImageProcessorPil,
    SiglipVisionConfig,
)

VISION = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}
TEXT = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}


def tokenizer(actions: int, more: tuple[str, ...] = ()) -> Any:
    """Bytes, special tokens, and action tokens as the last ones."""
    names = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "<s>", "</s>", "<image>", *more]
    names += [f"<action{number}>" for number in range(actions)]
    raw = Tokenizer(models.BPE(vocab={name: number for number, name in enumerate(names)}, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="</s>",
        additional_special_tokens=["<image>"],
        extra_special_tokens={"image_token": "<image>"},
    )


def save_llava(folder: Path, *, actions: int, size: int = 16, seed: int = 0, **config: Any) -> Path:
    """A LLaVA of about 140,000 parameters, with its processor."""
    words = tokenizer(actions)
    image = words.convert_tokens_to_ids("<image>")
    made = LlavaConfig(
        vision_config=CLIPVisionConfig(**VISION, image_size=size, patch_size=size // 2, projection_dim=32),
        text_config=LlamaConfig(**TEXT, vocab_size=len(words), bos_token_id=256, eos_token_id=257),
        image_token_id=image,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        **config,
    )
    pictures = CLIPImageProcessorPil(size={"shortest_edge": size}, crop_size={"height": size, "width": size})
    processor = LlavaProcessor(
        pictures,
        words,
        patch_size=size // 2,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )
    return _saved(made, processor, folder, seed)


def save_paligemma(folder: Path, *, actions: int, size: int = 16, seed: int = 0) -> Path:
    """A PaliGemma of about 140,000 parameters, with its processor."""
    extra = (*(f"<loc{number:0>4}>" for number in range(1024)), *(f"<seg{number:0>3}>" for number in range(128)))
    words = tokenizer(actions, extra)
    made = PaliGemmaConfig(
        vision_config=SiglipVisionConfig(**VISION, image_size=size, patch_size=size // 2, vision_use_head=False),
        text_config=GemmaConfig(
            **(TEXT | {"hidden_size": 32}), head_dim=16, vocab_size=len(words), bos_token_id=256, eos_token_id=257
        ),
        image_token_id=words.convert_tokens_to_ids("<image>"),
        projection_dim=32,
        hidden_size=32,
    )
    pictures = SiglipImageProcessorPil(size={"height": size, "width": size}, image_seq_length=4)
    return _saved(made, PaliGemmaProcessor(pictures, words), folder, seed)


def _saved(config: Any, processor: Any, folder: Path, seed: int) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = AutoModelForImageTextToText.from_config(config).eval()
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
