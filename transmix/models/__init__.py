"""Models that timm does not have, registered with timm when this package is imported."""

from transmix.models import micro, pvt

__all__ = ["micro", "pvt"]
