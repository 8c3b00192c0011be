"""All that reaches into BentoML's internals: where a new BentoML breaks something, it is here."""
