"""The embedded data set as small as tests of it can have it."""

from transmix.data.scenes import ScenesSpec

SPEC = ScenesSpec(classes=12, seed=3, size=32, train=288, val=24, dense_size=48, dense_train=60, dense_val=8)
