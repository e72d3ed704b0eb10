"""Next sentences, alone and with hidden words: loops, transformers' loss, limits, mistakes."""

import math

import numpy as np
import pytest
from oracle import oracle

from minift import gradcheck, nn
from minift.backend.random import manual_seed
from minift.models import BertConfig, BertForPreTraining
from minift.objectives import BertPreTraining, MaskedLM, NextSentence
from minift.tensor import Tensor

SETTINGS = {
    "vocab_size": 30, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 16, "max_position_embeddings": 8, "initializer_range": 0.5,
}  # fmt: skip
RNG = np.random.default_rng(0)
IDS = RNG.integers(1, 30, (4, 6))
LABELS = np.full((4, 6), -100)
LABELS[0, 5], LABELS[2, 1], LABELS[3, 0] = 7, 29, 1
BATCH = {
    "input_ids": IDS,
    "attention_mask": (np.arange(6) < np.array([[6], [4], [5], [2]])).astype(np.int64),
    "token_type_ids": (np.arange(6) > 2).astype(np.int64) * np.ones((4, 1), np.int64),
    "labels": LABELS,
    "next_sentence_label": np.array([0, 1, 1, 0]),
}
INPUTS = {name: BATCH[name] for name in ("input_ids", "attention_mask", "token_type_ids")}


def bert():
    manual_seed(0)
    model = BertForPreTraining(BertConfig(**SETTINGS)).eval()
    for p in model.parameters():
        p.data = p.data.astype(np.float64)
    return model


class Answers(nn.Module):
    """A model that answers what it is told, whatever it reads."""

    def __init__(self, words, answers):
        self.words, self.answers = words, answers

    def forward(self, positions, **inputs):
        return self.words, self.answers


def nats(scores, right):
    """−log softmax of one row by exponentials."""
    return -math.log(math.exp(scores[right]) / sum(math.exp(z) for z in scores))


def losses_by_loop(model):
    """(mean over hidden words, mean over pairs)."""
    words, answers = (scores.numpy() for scores in model(**INPUTS))
    hidden = [nats(words[b, t], LABELS[b, t]) for b, t in np.argwhere(LABELS != -100)]
    paired = [nats(row, label) for row, label in zip(answers, BATCH["next_sentence_label"])]
    return sum(hidden) / len(hidden), sum(paired) / len(paired)


def floats(log):
    return {name: float(value) for name, value in log.items()}


def test_both_losses_are_the_plain_loops(device):
    model = bert()
    words, pairs = losses_by_loop(model)
    model.to(device)
    answers = model(**INPUTS)[1].numpy()
    right = (answers.argmax(1) == BATCH["next_sentence_label"]).mean()
    loss, log = NextSentence()(model, BATCH)
    assert loss.item() == pytest.approx(pairs, rel=1e-10)
    assert floats(log) == {"loss": loss.item(), "accuracy": right, "count": 4}
    loss, log = BertPreTraining()(model, BATCH)
    assert loss.item() == pytest.approx(words + pairs, rel=1e-10)
    assert floats(log) == {
        "loss": loss.item(),
        "masked_loss": pytest.approx(words, rel=1e-10),
        "next_sentence_loss": pytest.approx(pairs, rel=1e-10),
        "accuracy": float(MaskedLM()(_words_of(model), words_batch())[1]["accuracy"]),
        "next_sentence_accuracy": right,
        "count": 4,
    }


def words_batch():
    return {name: value for name, value in BATCH.items() if name != "next_sentence_label"}


def _words_of(model):
    class Words(nn.Module):
        def forward(self, **inputs):
            return model(**inputs)[0]

    return Words()


def test_the_loss_is_that_of_transformers():
    """Both halves: 0 is next, 1 is random (E94), and the mean over hidden words alone (E93)."""
    torch, transformers = oracle("torch"), oracle("transformers")
    theirs = transformers.BertForPreTraining(transformers.BertConfig(**SETTINGS)).double().eval()
    ours = bert()
    state = {name: value.numpy() for name, value in theirs.state_dict().items()}
    ours.load_state_dict(state)
    out = theirs(**{name: torch.tensor(value) for name, value in BATCH.items()})
    loss, _ = BertPreTraining()(ours, BATCH)
    loss.backward()
    out.loss.backward()
    assert loss.item() == pytest.approx(out.loss.item(), rel=1e-9)
    expected = dict(theirs.named_parameters())
    for name, p in ours.named_parameters():
        np.testing.assert_allclose(p.grad.numpy(), expected[name].grad, atol=1e-9, err_msg=name)


def test_the_gradient_agrees_with_finite_differences():
    inputs = [Tensor(RNG.standard_normal(shape), requires_grad=True) for shape in ((3, 30), (4, 2))]
    assert gradcheck(lambda w, a: BertPreTraining()(Answers(w, a), BATCH)[0], inputs)
    assert gradcheck(lambda a: NextSentence()(Answers(None, a), BATCH)[0], inputs[1])


def test_a_guess_pays_log_2_and_a_sure_right_answer_nothing():
    label = BATCH["next_sentence_label"]
    loss, _ = NextSentence()(Answers(None, Tensor(np.zeros((4, 2)))), BATCH)
    assert loss.item() == pytest.approx(math.log(2))
    loss, log = NextSentence()(Answers(None, Tensor(1e4 * np.eye(2)[label])), BATCH)
    assert loss.item() == 0
    assert log["accuracy"] == 1
    loss, log = NextSentence()(Answers(None, Tensor(1e4 * np.eye(2)[1 - label])), BATCH)
    assert loss.item() == pytest.approx(1e4)
    assert log["accuracy"] == 0


def test_next_sentences_alone_leave_the_word_head_at_rest():
    model = bert()
    NextSentence()(model, BATCH)[0].backward()
    assert np.abs(model.cls.seq_relationship.weight.grad.numpy()).max() > 0
    head = model.cls.predictions
    for p in (head.bias, head.transform.dense.weight):
        assert p.grad is None or not p.grad.numpy().any()


def test_a_pair_by_itself_is_a_batch():
    one = {name: value[:1] for name, value in BATCH.items()}
    loss, log = BertPreTraining()(bert(), one)
    assert np.isfinite(loss.item())
    assert log["count"] == 1


@pytest.mark.parametrize("objective", [NextSentence(), BertPreTraining()])
def test_a_batch_without_labels_of_pairs_is_refused(objective):
    with pytest.raises(ValueError, match="the batch has no next_sentence_label, only input_ids"):
        objective(bert(), words_batch())


def test_a_batch_without_hidden_words_is_refused():
    nothing = BATCH | {"labels": np.full((4, 6), -100)}
    with pytest.raises(ValueError, match="BertPreTraining: all labels are -100, so no word"):
        BertPreTraining()(bert(), nothing)
    unlabelled = {name: value for name, value in BATCH.items() if name != "labels"}
    with pytest.raises(ValueError, match="the batch has no labels, only input_ids"):
        BertPreTraining()(bert(), unlabelled)
