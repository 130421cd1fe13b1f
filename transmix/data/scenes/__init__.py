"""The embedded synthetic data set "scenes": written once to disk, read by the field's own loaders.

Importing this package costs nothing beyond the standard library; rendering lives in `transmix.data.scenes.write`.
"""

from transmix.data.scenes.spec import GENERATOR, KEY, Manifest, ScenesSpec, check_complete, read_manifest

__all__ = ["GENERATOR", "KEY", "Manifest", "ScenesSpec", "check_complete", "read_manifest"]
