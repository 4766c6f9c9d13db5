"""Metrics: one plugin a file, each a pure function from judged audio to per-utterance sums.

Files whose name begins with an underscore are shared helpers, not plugins.
"""
