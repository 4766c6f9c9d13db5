"""Suites: named, versioned lists of utterances, and the code that loads them."""
