"""Models: encoder, pool, head, and the recipes that put them together."""

from gatewise.models import recipes

__all__ = ["recipes"]
