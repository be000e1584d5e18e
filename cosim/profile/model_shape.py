"""A model's shapes from its config.json: parameters by part, KV cache, work of a token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cosim.profile.errors import ProfileError
from cosim.profile.vision_shape import VisionShape

Part = Literal["embedding", "attention", "mlp", "norms", "lm_head", "vision"]

ARCHITECTURES = (
    "LlamaForCausalLM",
    "MistralForCausalLM",
    "Qwen2ForCausalLM",
    "Qwen2_5_VLForConditionalGeneration",
    "Qwen3ForCausalLM",
)
_ALLOWED = f"allowed: dense models of {', '.join(ARCHITECTURES)}"
_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")


@dataclass(frozen=True, slots=True)
class ModelShape:
    """Sizes of a decoder with grouped-query attention and a gated MLP, as transformers builds it from a config.json.

    `attention_biases`: which of q, k, v, o have one. `tied`: lm_head is the embedding. `max_position`: the longest
    context that the config allows.
    """

    architecture: str
    layers: int
    hidden_size: int
    intermediate_size: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    tied: bool
    attention_biases: str
    mlp_bias: bool
    head_norms: bool
    max_position: int
    vision: VisionShape | None

    @property
    def attention_weights(self) -> int:
        """Weights of q, k, v and o of all layers, without biases."""
        query, key_value = self.heads * self.head_size, self.kv_heads * self.head_size
        return self.layers * self.hidden_size * (2 * query + 2 * key_value)

    @property
    def mlp_weights(self) -> int:
        """Weights of gate, up and down of all layers, without biases."""
        return self.layers * 3 * self.hidden_size * self.intermediate_size

    @property
    def lm_head_weights(self) -> int:
        """Weights that the last layer reads, also where they are the embedding's."""
        return self.vocabulary * self.hidden_size

    def parameters(self) -> dict[Part, int]:
        """Parameters by part; a tied lm_head has none of its own. Norms include those of query and key."""
        sizes = {"q": self.heads * self.head_size, "o": self.hidden_size}
        sizes |= dict.fromkeys(("k", "v"), self.kv_heads * self.head_size)
        attention_bias = self.layers * sum(sizes[name] for name in self.attention_biases)
        mlp_bias = self.layers * (2 * self.intermediate_size + self.hidden_size) if self.mlp_bias else 0
        norms = self.layers * (2 * self.hidden_size + (2 * self.head_size if self.head_norms else 0))
        return {
            "embedding": self.vocabulary * self.hidden_size,
            "attention": self.attention_weights + attention_bias,
            "mlp": self.mlp_weights + mlp_bias,
            "norms": norms + self.hidden_size,
            "lm_head": 0 if self.tied else self.lm_head_weights,
            "vision": 0 if self.vision is None else self.vision.parameters,
        }

    def kv_values_per_token(self) -> int:
        """Values that a token leaves in the KV cache: key and value of every layer."""
        return 2 * self.layers * self.kv_heads * self.head_size

    def linear_flops_per_token(self) -> int:
        """FLOPs of the layers' weights for one token, 2 for each (Kaplan et al. 2020, table 1); lm_head is apart."""
        return 2 * (self.attention_weights + self.mlp_weights)

    def elementwise_values_per_token(self) -> int:
        """Values that a token's norms, rotations and activations read and write between the matrix products.

        In a layer: two norms with the residual (read 2, write 2 each), rotation of query and key, gate x up.
        """
        rotated = (self.heads + self.kv_heads) * self.head_size
        return self.layers * (8 * self.hidden_size + 2 * rotated + 3 * self.intermediate_size)

    def attention_flops_per_pair(self) -> int:
        """FLOPs of one pair of query and key in all layers: 2 for q x k, 2 for score x v, in every head."""
        return 4 * self.layers * self.heads * self.head_size


def model_shape(config: Mapping[str, Any], name: str) -> ModelShape:
    """The shapes of a model whose config.json this is. Raises ProfileError for one of which they are not known."""
    architecture = _architecture(config, name)
    text = config.get("text_config") or config
    _refuse_experts(text, name)
    _refuse_windows(text, name, architecture)
    heads = _size(text, "num_attention_heads", name)
    hidden = _size(text, "hidden_size", name)
    biased = bool(text.get("attention_bias", False))
    qwen2 = architecture in ("Qwen2ForCausalLM", "Qwen2_5_VLForConditionalGeneration")
    return ModelShape(
        architecture=architecture,
        layers=_size(text, "num_hidden_layers", name),
        hidden_size=hidden,
        intermediate_size=_size(text, "intermediate_size", name),
        heads=heads,
        kv_heads=_size(text, "num_key_value_heads", name, heads),
        head_size=_size(text, "head_dim", name, max(1, hidden // heads)),
        vocabulary=_size(text, "vocab_size", name),
        tied=bool(config.get("tie_word_embeddings", text.get("tie_word_embeddings", False))),
        attention_biases="qkv" if qwen2 else "qkvo" if biased and architecture != "MistralForCausalLM" else "",
        mlp_bias=architecture == "LlamaForCausalLM" and bool(text.get("mlp_bias", False)),
        head_norms=architecture == "Qwen3ForCausalLM",
        max_position=_size(text, "max_position_embeddings", name),
        vision=_vision(config, name) if architecture == "Qwen2_5_VLForConditionalGeneration" else None,
    )


def _architecture(config: Mapping[str, Any], name: str) -> str:
    named = config.get("architectures")
    if not isinstance(named, list) or len(named) != 1:
        raise ProfileError(f"{name}: architectures is {named!r}", "a list of one architecture")
    architecture = str(named[0])
    if architecture not in ARCHITECTURES:
        raise ProfileError(f"{name}: no roofline for {architecture}", _ALLOWED)
    return architecture


def _refuse_experts(text: Mapping[str, Any], name: str) -> None:
    for key in _EXPERTS:
        if text.get(key) not in (None, 0, 1):
            raise ProfileError(f"{name}: {key} is {text[key]}: a mixture of experts", _ALLOWED)


def _refuse_windows(text: Mapping[str, Any], name: str, architecture: str) -> None:
    """Refuse a model some layers of which see a window only. Qwen's configs name a window and leave it unused."""
    kinds = text.get("layer_types") or ["full_attention"]
    used = bool(text.get("use_sliding_window", architecture == "MistralForCausalLM")) and text.get("sliding_window")
    if used or not isinstance(kinds, list) or any(kind != "full_attention" for kind in kinds):
        raise ProfileError(f"{name}: has layers with sliding-window attention", "full attention in every layer")


def _size(section: Mapping[str, Any], key: str, name: str, default: int | None = None) -> int:
    value = section.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ProfileError(f"{name}: {key} is {value!r}", "a whole number of at least 1")
    return value


def _vision(config: Mapping[str, Any], name: str) -> VisionShape:
    vision = config.get("vision_config")
    if not isinstance(vision, Mapping):
        raise ProfileError(f"{name}: vision_config is missing", "the vision_config of Qwen2.5-VL")
    of = f"{name}: vision_config"
    patch = _size(vision, "patch_size", of)
    depth = _size(vision, "depth", of)
    full = vision.get("fullatt_block_indexes")
    if not isinstance(full, list) or not all(isinstance(index, int) and 0 <= index < depth for index in full):
        raise ProfileError(f"{of}: fullatt_block_indexes is {full!r}", f"a list of blocks, 0 to {depth - 1}")
    channels = _size(vision, "in_channels", of, _size(vision, "in_chans", of, 3))
    return VisionShape(
        depth=depth,
        hidden_size=_size(vision, "hidden_size", of),
        intermediate_size=_size(vision, "intermediate_size", of),
        out_hidden_size=_size(vision, "out_hidden_size", of),
        patch_inputs=channels * _size(vision, "temporal_patch_size", of) * patch * patch,
        merge=_size(vision, "spatial_merge_size", of) ** 2,
        window_patches=(_size(vision, "window_size", of) // patch) ** 2,
        full_attention_blocks=len(set(full)),
    )
