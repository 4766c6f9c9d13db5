"""Probes: small models trained on ids, many at once, with controls that give the figure meaning."""
