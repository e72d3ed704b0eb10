"""Write sentence_vectors.safetensors: twelve sentences as another library sees them.

    pip install torch transformers
    minift fetch minilm
    python lessons/data/make_sentence_vectors.py

The vectors of `tiny` and of MiniLM, (12, C) each, by transformers: the last hidden states, averaged
over the real tokens, divided by their length. Lesson 16 holds ours against them; it does not need
either library.
"""

import json
from pathlib import Path

import torch
from transformers import BertModel, BertTokenizerFast

from minift import hub

HERE = Path(__file__).parent
SENTENCES = json.loads((HERE / "sentences.json").read_text(encoding="utf-8"))


def vectors(folder):
    """(12, C) float32."""
    tokenizer = BertTokenizerFast.from_pretrained(folder)
    model = BertModel.from_pretrained(folder, dtype=torch.float32).eval()
    batch = tokenizer(SENTENCES, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = model(**batch).last_hidden_state  # (12, T, C)
    real = batch["attention_mask"][:, :, None]  # (12, T, 1)
    mean = (hidden * real).sum(1) / real.sum(1)
    return torch.nn.functional.normalize(mean).numpy()


if __name__ == "__main__":
    found = {name: vectors(hub.resolve(name)) for name in ("tiny", "minilm")}
    hub.write_arrays(HERE / "sentence_vectors.safetensors", found)
