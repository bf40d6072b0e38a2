"""The zoo's papers, equation by equation, in plain sums: what the modules are held equal to.

Written from the papers, without looking at the modules. Weights are plain tensors; nothing here is fast, and nothing
uses a layer, so that a mistake in how a layer is called cannot be made twice.
"""
