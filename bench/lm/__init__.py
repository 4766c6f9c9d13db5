"""How hard the ids of a tokenizer are to predict: n-grams, a small transformer, pairs.

`ngram` counts, `laid` brings it to the layouts of `bench.layouts`, `small` trains the transformer
(it imports torch), `scoring` makes figures of bits, `pairs` makes and reads likelihood tests.
"""
