"""Penalties R(theta), one file each: min over theta of L(theta; D) + alpha R(theta)."""
