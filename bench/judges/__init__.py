"""Judges: pretrained models that score audio, one plugin a file."""
