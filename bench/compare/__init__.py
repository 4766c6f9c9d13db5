"""`bench compare`: several results side by side, with what their scores can and cannot carry."""
