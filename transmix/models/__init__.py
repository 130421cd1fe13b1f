"""Models that timm does not have, registered with timm when this package is imported."""

from transmix.models import micro

__all__ = ["micro"]
