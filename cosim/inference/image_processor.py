"""The image processor of Qwen2.5-VL as files beside a model: how many patches and tokens an image becomes."""

from __future__ import annotations

import json
from pathlib import Path

# As published with Qwen2.5-VL: a larger image is scaled down, a smaller one up.
MAX_PIXELS = 16_384 * 28 * 28
MIN_PIXELS = 4 * 28 * 28
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
_KINDS = {
    "preprocessor_config": ("image", "Qwen2VLImageProcessor"),
    "video_preprocessor_config": ("video", "Qwen2VLVideoProcessor"),
}


def write(
    folder: Path,
    *,
    patch_size: int,
    merge_size: int,
    temporal_patch_size: int,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
) -> None:
    """Write preprocessor_config.json and video_preprocessor_config.json."""
    for file, (kind, processor) in _KINDS.items():
        config = {
            f"{kind}_processor_type": processor,
            "processor_class": "Qwen2_5_VLProcessor",
            "patch_size": patch_size,
            "merge_size": merge_size,
            "temporal_patch_size": temporal_patch_size,
            "do_resize": True,
            "do_rescale": True,
            "do_normalize": True,
            "do_convert_rgb": True,
            "image_mean": mean,
            "image_std": std,
            "rescale_factor": 1 / 255,
            "resample": 3,
            "size": {"shortest_edge": MIN_PIXELS, "longest_edge": MAX_PIXELS},
            "min_pixels": MIN_PIXELS,
            "max_pixels": MAX_PIXELS,
        }
        (folder / f"{file}.json").write_text(json.dumps(config, indent=1))
