"""A GPU or a MIG slice of one: what of its compute, memory and bandwidth an engine has."""

from __future__ import annotations

from dataclasses import dataclass

from cosim.profile.hardware_file import Attainable, HardwareFile, Host, Overheads
from cosim.profile.quantization import Quantization

GIB = 1 << 30
_MEMORY_SLICES = 8


@dataclass(frozen=True, slots=True)
class Accelerator:
    """Peaks of the whole device times the slice's share: of SMs for compute, of memory slices for bandwidth.

    A MIG slice has its memory controllers and its SMs to itself (NVIDIA MIG user guide, "Partitioning").
    Rates in FLOP/s, bandwidth in byte/s, memory in bytes.
    """

    name: str
    mig: bool
    a100: bool
    fp16_rate: float
    fp8_rate: float | None
    int8_rate: float | None
    bandwidth: float
    total_bytes: int
    taken_bytes: int
    cuda_graph_bytes: int
    non_torch_bytes: int
    attainable: Attainable
    overheads: Overheads
    host: Host

    def matmul_rate(self, quantization: Quantization) -> float:
        """Attained FLOP/s of the language model's linear layers."""
        native = self._native_rate(quantization)
        if native is None:
            return self.fp16_rate * self.attainable.weight_only_flops.value
        return native * self.attainable.matmul_flops.value

    def weight_bandwidth(self, quantization: Quantization) -> float:
        """Attained byte/s of reading the weights of the language model's linear layers."""
        shares = self.attainable
        share = shares.weight_only_bandwidth if self._native_rate(quantization) is None else shares.bandwidth
        return self.bandwidth * share.value

    def _native_rate(self, quantization: Quantization) -> float | None:
        """Peak with weights of a format as they are; None where a kernel makes them fp16 first.

        So does Marlin with FP8 checkpoints on GPUs without FP8 (vllm/model_executor/layers/quantization/fp8.py).
        """
        if quantization.weight_only:
            return None
        return {"fp16": self.fp16_rate, "fp8": self.fp8_rate, "int8": self.int8_rate}[quantization.rate]

    @property
    def attained_bandwidth(self) -> float:
        """Attained byte/s of reading 16-bit weights and of elementwise kernels."""
        return self.bandwidth * self.attainable.bandwidth.value

    @property
    def attention_bandwidth(self) -> float:
        """Attained byte/s of reading the KV cache in decodes."""
        return self.bandwidth * self.attainable.attention_bandwidth.value

    @property
    def fp16_matmul_rate(self) -> float:
        """Attained FLOP/s of layers that stay 16 bit."""
        return self.fp16_rate * self.attainable.matmul_flops.value

    @property
    def attention_rate(self) -> float:
        """Attained FLOP/s of attention over prompts."""
        return self.fp16_rate * self.attainable.attention_flops.value

    @property
    def vision_rate(self) -> float:
        """Attained FLOP/s of the vision tower."""
        return self.fp16_rate * self.attainable.vision_flops.value


def accelerator(hardware: HardwareFile, name: str, profile: str | None) -> Accelerator:
    """The device of a hardware file, or the named slice of it."""
    part = hardware.slices.profiles[profile] if hardware.slices and profile else None
    compute_share = part.sms / hardware.sms if part else 1.0
    bandwidth_share = part.memory_slices / _MEMORY_SLICES if part else 1.0
    compute, memory = hardware.compute, hardware.memory
    return Accelerator(
        name=f"{name}/{profile}" if profile else name,
        mig=part is not None,
        a100=hardware.a100,
        fp16_rate=compute.fp16_tflops.value * 1e12 * compute_share,
        fp8_rate=None if compute.fp8_tflops is None else compute.fp8_tflops.value * 1e12 * compute_share,
        int8_rate=None if compute.int8_tops is None else compute.int8_tops.value * 1e12 * compute_share,
        bandwidth=memory.bandwidth_gb_per_s.value * 1e9 * bandwidth_share,
        total_bytes=int((part.memory_gib if part else memory.total_gib.value) * GIB),
        taken_bytes=int(memory.taken_gib.value * GIB),
        cuda_graph_bytes=int(hardware.vllm.cuda_graph_gib.value * GIB),
        non_torch_bytes=int(hardware.vllm.non_torch_gib.value * GIB),
        attainable=hardware.attainable,
        overheads=hardware.overheads,
        host=hardware.host,
    )
