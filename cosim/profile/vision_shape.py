"""The vision tower of Qwen2.5-VL: its parameters and the work of an image."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VisionShape:
    """Sizes as in `vision_config` (vLLM's Qwen2_5_VisionTransformer).

    `patch_inputs`: values of one patch. `merge`: patches of one token of the language model. `window_patches`:
    patches of a full attention window. `full_attention_blocks`: blocks in which a patch sees its whole image.
    """

    depth: int
    hidden_size: int
    intermediate_size: int
    out_hidden_size: int
    patch_inputs: int
    merge: int
    window_patches: int
    full_attention_blocks: int

    @property
    def block_parameters(self) -> int:
        """All blocks: two RMSNorms, qkv, proj and a gated MLP, each linear layer with its bias."""
        hidden, inner = self.hidden_size, self.intermediate_size
        linear = 4 * hidden * hidden + 3 * hidden * inner
        return self.depth * (linear + 4 * hidden + 2 * inner + hidden + 2 * hidden)

    @property
    def merger_parameters(self) -> int:
        """RMSNorm and two linear layers with biases over `merge` patches."""
        merged = self.hidden_size * self.merge
        return self.hidden_size + merged * merged + merged + self.out_hidden_size * (merged + 1)

    @property
    def parameters(self) -> int:
        """Patch embedding (no bias), blocks and merger."""
        return self.patch_inputs * self.hidden_size + self.block_parameters + self.merger_parameters

    def linear_flops(self, tokens: int) -> int:
        """FLOPs of the linear layers for images that are `tokens` of the language model: 2 for each weight used."""
        hidden, merged = self.hidden_size, self.hidden_size * self.merge
        per_patch = self.patch_inputs * hidden + self.depth * (
            4 * hidden * hidden + 3 * hidden * self.intermediate_size
        )
        per_token = merged * merged + merged * self.out_hidden_size
        return 2 * tokens * (self.merge * per_patch + per_token)

    def attention_flops(self, tokens: int, images: int) -> int:
        """FLOPs of query x key and scores x value, for `images` of equal size with `tokens` together.

        Patches see their window in most blocks and their whole image in `full_attention_blocks`.
        """
        if images < 1:
            return 0
        patches = math.ceil(self.merge * tokens / images)
        windowed = (self.depth - self.full_attention_blocks) * min(patches, self.window_patches)
        return 4 * self.hidden_size * images * patches * (windowed + self.full_attention_blocks * patches)
