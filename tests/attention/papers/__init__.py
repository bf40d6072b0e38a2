"""Literal transcriptions of the papers of the attention modules, which the modules are compared with.

They were written from the papers, without looking at the modules. They take weights as plain tensors and use no layers,
so that a mistake in the use of a layer cannot occur in both. They are slow.
"""
