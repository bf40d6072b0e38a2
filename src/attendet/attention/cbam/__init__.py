"""CBAM (Woo et al., ECCV 2018): the modules, their gates, and the fused implementation."""
