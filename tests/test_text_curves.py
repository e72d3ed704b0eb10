"""Fifty steps of every text objective beside transformers: same weights, same batches, same curve.

Dropout is off but for SimCSE, where it is the objective: theirs then takes our masks, drawn from
the same generator in the same order.
"""

import math

import numpy as np
import pytest
from oracle import oracle

from minift import nn, ops
from minift.backend.random import manual_seed
from minift.data import (
    Blocks,
    BPETokenizer,
    DataLoader,
    MaskingCollator,
    PairingCollator,
    Segments,
    WordPieceTokenizer,
    load_moby_dick,
    pack,
)
from minift.models import (
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
)
from minift.objectives import BertPreTraining, CausalLM, MaskedLM, NextSentence, SimCSE
from minift.optim import Adam
from minift.tensor import Tensor

torch = oracle("torch")
transformers = oracle("transformers")
F = torch.nn.functional

STEPS = 50
CHAPTERS = load_moby_dick().train[:6]
LINES = [line for chapter in CHAPTERS for line in chapter.splitlines()]
WORDS = WordPieceTokenizer.train(LINES, 500)
BERT = {
    "vocab_size": WORDS.vocab_size, "hidden_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 2, "intermediate_size": 64, "max_position_embeddings": 32,
    "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
}  # fmt: skip


@pytest.fixture(autouse=True)
def same_weights():
    torch.manual_seed(0)


def first(loader):
    """The first fifty batches."""
    batches = []
    while len(batches) < STEPS:
        batches += list(loader)
    return batches[:STEPS]


def train(model, optimizer, batches, loss_of):
    losses = []
    for batch in batches:
        loss = loss_of(model, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def assert_same_curve(ours, theirs, objective, their_loss, batches, falls):
    """Ours and theirs from theirs' weights, by Adam; what is compared has to move."""
    state = {name: value.numpy() for name, value in theirs.state_dict().items()}
    ours.load_state_dict(state)
    ours.train()
    manual_seed(7)
    found = train(ours, Adam(ours.parameters(), lr=2e-3), batches, lambda m, b: objective(m, b)[0])
    manual_seed(7)
    on_torch = [{name: torch.tensor(value) for name, value in b.items()} for b in batches]
    optimizer = torch.optim.Adam(theirs.parameters(), lr=2e-3)
    expected = train(theirs.train(), optimizer, on_torch, their_loss)
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    assert np.mean(expected[-5:]) < falls * np.mean(expected[:5])


def test_masked_words():
    data = WORDS.dataset(LINES, 32)
    batches = first(DataLoader(data, 16, True, collate_fn=MaskingCollator(WORDS)))
    theirs = transformers.BertForMaskedLM(transformers.BertConfig(**BERT))
    loss_of = lambda model, batch: model(**batch).loss
    ours = BertForMaskedLM(BertConfig(**BERT))
    assert_same_curve(ours, theirs, MaskedLM(), loss_of, batches, 0.9)


def pairs(negatives):
    data = Segments(CHAPTERS, WORDS, 32, least=4)
    collator = PairingCollator(data, negatives, MaskingCollator(WORDS))
    return first(DataLoader(data, 16, True, collate_fn=collator))


def test_both_tasks_of_bert():
    theirs = transformers.BertForPreTraining(transformers.BertConfig(**BERT))
    loss_of = lambda model, batch: model(**batch).loss
    ours = BertForPreTraining(BertConfig(**BERT))
    batches = pairs("same-document")
    assert_same_curve(ours, theirs, BertPreTraining(), loss_of, batches, 0.93)


def test_next_sentences():
    def loss_of(model, batch):
        scores = model(**{k: v for k, v in batch.items() if "label" not in k})
        return F.cross_entropy(scores.seq_relationship_logits, batch["next_sentence_label"])

    theirs = transformers.BertForPreTraining(transformers.BertConfig(**BERT))
    ours = BertForPreTraining(BertConfig(**BERT))
    batches = [pairs("other-documents")[0]] * STEPS  # one batch is learned by heart
    assert_same_curve(ours, theirs, NextSentence(), loss_of, batches, 0.5)


def test_the_next_token():
    tokenizer = BPETokenizer.train(LINES, 400)
    batches = first(DataLoader(Blocks(pack(CHAPTERS, tokenizer), 24), 8, True))
    settings = {
        "vocab_size": tokenizer.vocab_size, "n_positions": 32, "n_embd": 32, "n_layer": 2,
        "n_head": 2, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0,
    }  # fmt: skip

    def loss_of(model, batch):
        ids, mask = batch["input_ids"], batch["attention_mask"]
        labels = ids.masked_fill(mask == 0, -100)
        return model(input_ids=ids, attention_mask=mask, labels=labels).loss

    theirs = transformers.GPT2LMHeadModel(transformers.GPT2Config(**settings))
    ours = GPT2LMHeadModel(GPT2Config(**settings))
    assert_same_curve(ours, theirs, CausalLM(), loss_of, batches, 0.95)


class OurDropout(torch.nn.Module):
    """Multiplies with the mask that ours would draw next."""

    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, x):
        ones = Tensor(np.ones(tuple(x.shape), np.float32))
        return x * torch.tensor(ops.dropout(ones, p=self.p, training=self.training).numpy())


@pytest.mark.parametrize("chunk", [None, 32])
def test_sentences_seen_through_dropout(chunk):
    settings = BERT | {"hidden_dropout_prob": 0.1}
    data = WORDS.dataset(LINES, 32)
    batches = first(DataLoader(data, 16, True))
    theirs = transformers.BertModel(transformers.BertConfig(**settings), add_pooling_layer=False)
    for module in list(theirs.modules()):
        if isinstance(getattr(module, "dropout", None), torch.nn.Dropout):
            module.dropout = OurDropout(module.dropout.p)

    def loss_of(model, batch):
        doubled = {name: torch.cat([value, value]) for name, value in batch.items()}
        hidden, real = model(**doubled).last_hidden_state, doubled["attention_mask"][..., None]
        z = F.normalize((hidden * real).sum(1) / real.sum(1), dim=1)
        scores = (z @ z.T / 0.05).masked_fill(torch.eye(len(z), dtype=torch.bool), -math.inf)
        return F.cross_entropy(scores, (torch.arange(len(z)) + len(z) // 2) % len(z))

    ours = BertModel(BertConfig(**settings), add_pooling_layer=False)
    assert_same_curve(ours, theirs, SimCSE(0.05, chunk), loss_of, batches, 0.9)


def test_dropout_of_the_oracle_is_ours():
    x = np.ones((4, 6), np.float32)
    manual_seed(3)
    ours = nn.Dropout(0.5)(Tensor(x)).numpy()
    manual_seed(3)
    np.testing.assert_array_equal(OurDropout(0.5)(torch.tensor(x)).numpy(), ours)
