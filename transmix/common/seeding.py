"""Every random draw of the suite is a pure function of names and counters.

A run never stores a random state: step 812 of a run draws the same numbers whether the run was interrupted
or not, because they come from ``(seed, "step", rank, 812)``. That is what makes resuming exact.
"""

from __future__ import annotations

import hashlib
import random

MAX_SEED = 2**63


def derive_seed(*keys: object) -> int:
    """A 63-bit seed that depends on every key, e.g. ``derive_seed(run_seed, "sample", epoch, index)``."""
    text = "\x1f".join(map(str, keys)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") % MAX_SEED


def seed_python_numpy_torch(*keys: object) -> None:
    """Seed the global generators that timm's and torchvision's transforms and layers draw from."""
    import numpy as np
    import torch

    seed = derive_seed(*keys)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    # not torch.manual_seed: where CUDA is not initialised (loader workers) that queues a call each time
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
