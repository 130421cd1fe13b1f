"""Random numbers that depend on what they are for, not on where or when they are drawn.

Row i of what a `Draws` yields is a pure function of its seed, of ``ids[i]`` and of how often it was asked before: the
same in every batch, on every device and on any number of processes. The generator is SplitMix64 (Steele, Lea and Flood,
2014), which needs no state but a counter, and is a handful of tensor operations for a whole batch.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15
_ROUNDS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1))
_UNIFORM_BITS = 24  # what a float32 in [0, 1) can hold


class Draws:
    """Random numbers for a batch.

    Args:
        seed: of all rows, 63 bits.
        ids: (B,) int64, who each row is for, e.g. the images' indices; rows with equal ids are equal.
    """

    def __init__(self, seed: int, ids: Tensor) -> None:
        self._rows = _mix(_mix(ids.clone().mul_(_signed(_GOLDEN)).add_(_signed(seed))))
        self._taken = 0

    def bits(self, *shape: int) -> Tensor:
        """(B, *shape) int64, all 64 bits random."""
        count = math.prod(shape)
        first, self._taken = self._taken + 1, self._taken + count
        steps = torch.arange(first, first + count, device=self._rows.device).mul_(_signed(_GOLDEN))
        return _mix(self._rows[:, None] + steps).view(-1, *shape)

    def uniform(self, *shape: int) -> Tensor:
        """(B, *shape) float32 in [0, 1)."""
        return _unit(self.bits(*shape), 64 - _UNIFORM_BITS)

    def normal(self, *shape: int) -> Tensor:
        """(B, *shape) float32, mean 0 and variance 1 (Box and Muller's transform)."""
        bits = self.bits(*shape)
        radius = (1 - _unit(bits, 64 - _UNIFORM_BITS)).log_().mul_(-2).sqrt_()
        return radius.mul_(_unit(bits, 8).mul_(2 * math.pi).cos_())

    def permutation(self, length: int) -> Tensor:
        """(B, length): each row the numbers from 0 to length - 1 in a random order."""
        return self.bits(length).argsort(1)


def _mix(z: Tensor) -> Tensor:
    """SplitMix64's finaliser, in place; int64 arithmetic wraps around as the unsigned would."""
    for shift, factor in _ROUNDS:
        # the logical shift right that int64 does not have
        z ^= (z >> shift) & ((1 << 64 - shift) - 1)
        z *= _signed(factor)
    return z


def _unit(bits: Tensor, shift: int) -> Tensor:
    """24 bits from the `shift`-th on, as a number in [0, 1)."""
    return ((bits >> shift) & ((1 << _UNIFORM_BITS) - 1)).float().mul_(2.0**-_UNIFORM_BITS)


def _signed(value: int) -> int:
    """The int64 with the same 64 bits."""
    value %= 1 << 64
    return value - (1 << 64) if value >> 63 else value
