"""File formats of weights: torch archives, legacy torch files, safetensors."""
