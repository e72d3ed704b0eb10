"""minift: pre-train a model on unlabelled data, then fine-tune it on few labels."""

__version__ = "0.1.0"
