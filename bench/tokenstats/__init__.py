"""Measures of token sequences: pure functions on arrays, which know nothing of the engine.

Shapes in docstrings: N ids, T frames, K streams, V different ids, P pairs, G groups.
"""
