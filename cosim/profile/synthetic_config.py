"""The config.json of a synthetic model: an architecture's shapes, before its tokenizer has ids for it."""

from __future__ import annotations

from typing import Any

from cosim.bridge.engine_messages import SyntheticModel

HEAD_SIZE = 64
MAX_POSITION_EMBEDDINGS = 32_768
PATCH_SIZE = 14
SPATIAL_MERGE_SIZE = 2
TEMPORAL_PATCH_SIZE = 2

ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "qwen2_5_vl": "Qwen2_5_VLForConditionalGeneration",
}


def has_vision(spec: SyntheticModel) -> bool:
    """Whether the model takes images."""
    return spec.architecture == "qwen2_5_vl"


def make_config(spec: SyntheticModel) -> dict[str, Any]:
    """Everything in the config.json but the ids of tokens."""
    heads = spec.hidden_size // HEAD_SIZE
    text: dict[str, Any] = {
        "vocab_size": spec.vocabulary_size,
        "hidden_size": spec.hidden_size,
        "num_hidden_layers": spec.layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads // 2,
        "head_dim": HEAD_SIZE,
        "intermediate_size": 3 * spec.hidden_size,
        "max_position_embeddings": MAX_POSITION_EMBEDDINGS,
        "rms_norm_eps": 1e-6,
        "hidden_act": "silu",
        "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
        "tie_word_embeddings": True,
        "dtype": "bfloat16",
    }
    common = {"architectures": [ARCHITECTURES[spec.architecture]], "model_type": spec.architecture}
    if not has_vision(spec):
        return {**common, **text}
    # Height, width and time share the rotary dimensions in the proportions of Qwen2.5-VL: 16, 24, 24 of 64.
    text["rope_parameters"]["mrope_section"] = [HEAD_SIZE // 8, 3 * HEAD_SIZE // 16, 3 * HEAD_SIZE // 16]
    vision = {
        "model_type": "qwen2_5_vl",
        "depth": spec.vision_layers,
        "hidden_size": spec.vision_hidden_size,
        "num_heads": spec.vision_hidden_size // HEAD_SIZE,
        "intermediate_size": 3 * spec.vision_hidden_size,
        "out_hidden_size": spec.hidden_size,
        "patch_size": PATCH_SIZE,
        "spatial_merge_size": SPATIAL_MERGE_SIZE,
        "temporal_patch_size": TEMPORAL_PATCH_SIZE,
        "window_size": 112,
        "fullatt_block_indexes": [spec.vision_layers - 1],
        "in_channels": 3,
        "hidden_act": "silu",
    }
    return {
        **common,
        "text_config": {"model_type": "qwen2_5_vl_text", **text},
        "vision_config": vision,
        "tie_word_embeddings": True,
        "dtype": "bfloat16",
    }
