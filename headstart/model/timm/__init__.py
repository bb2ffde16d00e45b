"""Models of timm: what their configuration says, and their networks."""
