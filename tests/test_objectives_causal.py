"""The next token: the loss beside a loop, transformers' own, and the articles' versions."""

import itertools
import math

import numpy as np
import pytest
from oracle import oracle

from minift import gradcheck, nn, ops
from minift.backend.random import manual_seed
from minift.baselines import NGram
from minift.data import Blocks, DataLoader
from minift.models import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel
from minift.objectives import CausalLM
from minift.optim import Adam
from minift.tensor import Tensor
from minift.train.logs import mean_log

CONFIG = GPT2Config(
    vocab_size=11, n_positions=8, n_embd=8, n_layer=2, n_head=2, initializer_range=0.5
)
IDS = np.random.default_rng(0).integers(0, 11, (4, 7))
MASK = (np.arange(7) < np.array([[7], [4], [1], [2]])).astype(np.int64)


@pytest.fixture(autouse=True)
def same_draws():
    manual_seed(0)


def gpt(dtype=np.float64, **more):
    model = GPT2LMHeadModel(GPT2Config(**{**vars(CONFIG), **more})).eval()
    for p in model.parameters():
        p.data = p.data.astype(dtype)
    return model


class Scores(nn.Module):
    """A model whose scores are its weights, whatever it reads."""

    def __init__(self, scores):
        self.scores = scores if isinstance(scores, Tensor) else nn.Parameter(scores)

    def forward(self, input_ids):
        return self.scores * 1


def nats_by_loop(scores, ids, mask):
    """Mean of −log(exp z_v / Σ exp z_u), one token at a time."""
    nats = []
    for row, (tokens, real) in enumerate(zip(ids, mask)):
        for t in range(1, len(tokens)):
            if real[t]:
                exponentials = [math.exp(z) for z in scores[row][t - 1]]
                nats.append(-math.log(exponentials[tokens[t]] / sum(exponentials)))
    return sum(nats) / len(nats), len(nats)


@pytest.mark.parametrize("mask", [None, MASK])
def test_the_loss_is_the_plain_loop(mask, device):
    model = gpt().to(device)
    batch = {"input_ids": IDS} | ({} if mask is None else {"attention_mask": mask})
    loss, log = CausalLM()(model, batch)
    real = np.ones_like(IDS) if mask is None else mask
    expected, count = nats_by_loop(model(IDS, mask).numpy(), IDS, real)
    assert loss.item() == pytest.approx(expected, rel=1e-10)
    assert {name: float(value) for name, value in log.items()} == {
        "loss": pytest.approx(expected, rel=1e-10),
        "perplexity": pytest.approx(math.exp(expected), rel=1e-10),
        "count": count,
    }


def test_the_loss_is_that_of_transformers():
    torch, transformers = oracle("torch"), oracle("transformers")
    settings = {k: v for k, v in vars(CONFIG).items() if k in transformers.GPT2Config().to_dict()}
    theirs = transformers.GPT2LMHeadModel(transformers.GPT2Config(**settings)).double().eval()
    ours = gpt()
    ours.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    ids, mask = torch.tensor(IDS), torch.tensor(MASK)
    labels = ids.masked_fill(mask == 0, -100)
    expected = theirs(input_ids=ids, attention_mask=mask, labels=labels).loss.item()
    loss, _ = CausalLM()(ours, {"input_ids": IDS, "attention_mask": MASK})
    assert loss.item() == pytest.approx(expected, rel=1e-6)  # theirs in float32


def test_the_gradient_agrees_with_finite_differences():
    drawn = np.random.default_rng(1).standard_normal((4, 6, 11))
    batch = {"input_ids": IDS, "attention_mask": MASK}
    assert gradcheck(
        lambda scores: CausalLM()(Scores(scores), batch)[0], Tensor(drawn, requires_grad=True)
    )
    model = Scores(drawn)
    CausalLM()(model, batch)[0].backward()
    moved = np.abs(model.scores.grad.numpy()).sum(-1) > 0
    np.testing.assert_array_equal(moved, MASK[:, 1:] == 1)  # padding teaches nothing


def test_equal_scores_pay_log_v_and_sure_right_ones_nothing():
    batch = {"input_ids": IDS}
    loss, log = CausalLM()(Scores(np.zeros((4, 6, 11))), batch)
    assert loss.item() == pytest.approx(math.log(11))
    assert log["perplexity"] == pytest.approx(11)
    sure = 1e4 * np.eye(11)[IDS[:, 1:]]
    assert CausalLM()(Scores(sure), batch)[0].item() == 0
    loss, log = CausalLM()(Scores(-sure.astype(np.float32)), batch)
    assert loss.item() == pytest.approx(1e4 + math.log(10), rel=1e-6)
    assert log["perplexity"] == math.inf


def test_no_token_sees_itself_or_what_follows():
    """E54: the whole history is read, and nothing but it."""
    model, changed = gpt(), IDS.copy()
    changed[:, 4] = (changed[:, 4] + 1) % 11
    before, after = model(IDS).numpy(), model(changed).numpy()
    np.testing.assert_array_equal(before[:, :4], after[:, :4])
    assert np.abs(before[:, 4:] - after[:, 4:]).max(axis=(0, 2)).min() > 1e-3


def test_probabilities_of_all_strings_of_three_sum_to_1():
    """E46: the product of p(w_t | w_<t) is a distribution over strings; E19: BERT's is none."""
    strings = np.array(list(itertools.product(range(4), repeat=3)))

    def total(scores, at):
        log_p = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
        rows = np.arange(len(strings))
        return np.exp(sum(log_p[rows, t, strings[:, at + t]] for t in range(3))).sum()

    start = np.zeros((len(strings), 1), int)
    model = gpt(vocab_size=4)
    assert total(model(np.hstack([start, strings])).numpy(), 0) == pytest.approx(1, abs=1e-9)
    bert = BertForMaskedLM(
        BertConfig(vocab_size=4, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
                   intermediate_size=16, max_position_embeddings=8, initializer_range=0.5)
    ).eval()  # fmt: skip
    assert abs(total(bert(strings).numpy(), 0) - 1) > 0.01  # each token sees itself and the rest


def cycle(n):
    """0 1 2 3 …: after 1, each of 2 and 5 is as likely; the rest is sure."""
    rng, ids = np.random.default_rng(4), []
    while len(ids) < n:
        ids += [0, 1, rng.choice([2, 5]), 3, 4, 4]
    return np.array(ids[:n])


def trained(objective, steps=150):
    model = gpt(np.float32, initializer_range=0.02, vocab_size=6, n_layer=1).train()
    optimizer, loader = Adam(model.parameters(), lr=1e-2), DataLoader(
        Blocks(cycle(1600), 8), 16, True)  # fmt: skip
    while steps:
        for batch in loader:
            loss, _ = objective(model, batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            steps -= 1
            if not steps:
                break
    return model.eval()


def entropy_maximised(model, batch):
    """E45: what the article asks for, −H, to be lowered."""
    scores = model(batch["input_ids"][:, :-1])
    log_p = ops.log_softmax(scores, axis=-1)
    return (ops.exp(log_p) * log_p).sum(axis=-1).mean(), {}


def test_maximum_likelihood_learns_what_maximum_entropy_forgets():
    """E45: the article's objective ends at log V, the right one below what two tokens tell."""
    held_out = Blocks(cycle(401), 8)
    batch = held_out.__getitems__(np.arange(len(held_out)))
    article = CausalLM()(trained(entropy_maximised), batch)[0].item()
    right = CausalLM()(trained(CausalLM()), batch)[0].item()
    assert article == pytest.approx(math.log(6), abs=0.01)
    bigram = NGram(cycle(1600), 6, 2).nats(cycle(401))
    assert right < bigram < article


def test_squared_errors_of_ids_do_not_know_tokens_from_numbers():
    """E53, E57: as a number, the right guess between 2 and 5 is "3.5", which is neither."""
    after_1 = np.array([2.0, 5.0])
    guesses = np.linspace(0, 5, 51)
    best = guesses[((guesses[:, None] - after_1) ** 2).mean(1).argmin()]
    assert best == pytest.approx(3.5)
    scores = trained(CausalLM())(np.array([[0, 1]])).numpy()[0, -1]
    assert set(scores.argsort()[-2:]) == {2, 5}


def test_perplexity_of_many_batches_is_exp_of_their_mean_loss():
    logs = [{"loss": 1.0, "perplexity": math.e, "count": 30}]
    logs.append({"loss": 3.0, "perplexity": math.exp(3), "count": 10})
    found = mean_log(logs)
    assert found == {"loss": 1.5, "perplexity": pytest.approx(math.exp(1.5)), "count": 40}


def test_labels_in_the_batch_are_not_looked_at():
    model = gpt()
    plain, labelled = ({"input_ids": IDS}, {"input_ids": IDS, "labels": np.arange(4)})
    assert CausalLM()(model, plain)[0].item() == CausalLM()(model, labelled)[0].item()


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"input_ids": IDS[:, :1]}, "CausalLM: rows of 1 tokens, .* nothing can be guessed"),
        ({"input_ids": IDS[2:3], "attention_mask": MASK[2:3]}, "none has another before it"),
        ({"pixel_values": IDS}, "the batch has no input_ids, only pixel_values"),
    ],
)
def test_a_batch_with_nothing_to_guess_is_refused(batch, message):
    with pytest.raises(ValueError, match=message):
        CausalLM()(gpt(), batch)


def test_a_batch_of_one_row_is_the_mean_over_its_tokens():
    model = gpt()
    losses = [CausalLM()(model, {"input_ids": IDS[i : i + 1]})[0].item() for i in range(4)]
    assert CausalLM()(model, {"input_ids": IDS})[0].item() == pytest.approx(np.mean(losses))
