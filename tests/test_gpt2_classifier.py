"""GPT2ForSequenceClassification beside transformers', whose folders it opens and writes."""

import numpy as np
import pytest
from finetune_cases import mistake, write_table
from oracle import oracle

import minift as mf
from minift.data import BPETokenizer
from minift.models import GPT2Config, GPT2ForSequenceClassification, GPT2LMHeadModel

SIZES = {
    "vocab_size": 40, "n_positions": 12, "n_embd": 16, "n_layer": 2, "n_head": 2,
    "initializer_range": 0.3, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0,
    "num_labels": 3, "pad_token_id": 0,
}  # fmt: skip
IDS = np.array([[5, 6, 7, 8, 9], [4, 3, 2, 0, 0], [1, 0, 0, 0, 0]])
MASK = (IDS != 0).astype(np.int64)


def test_scores_and_gradients_equal_transformers(tmp_path):
    transformers, torch = oracle("transformers"), oracle("torch")
    mf.manual_seed(0)
    ours = GPT2ForSequenceClassification(GPT2Config(**SIZES))
    ours.save_pretrained(tmp_path)
    theirs = transformers.GPT2ForSequenceClassification.from_pretrained(tmp_path).eval()
    inputs = {"input_ids": torch.tensor(IDS), "attention_mask": torch.tensor(MASK)}
    scores = theirs(**inputs).logits
    g = np.random.default_rng(0).standard_normal((3, 3)).astype(np.float32)
    (scores * torch.tensor(g)).sum().backward()
    found = ours(IDS, MASK)
    (found * g).sum().backward()
    np.testing.assert_allclose(found.numpy(), scores.detach().numpy(), atol=1e-5)
    wanted = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        np.testing.assert_allclose(
            parameter.grad.numpy(), wanted[name].grad.numpy(), atol=2e-4, err_msg=name
        )


def test_padding_changes_no_score():
    model = GPT2ForSequenceClassification(GPT2Config(**SIZES)).eval()
    alone = model(IDS[1:2, :3]).numpy()
    np.testing.assert_allclose(model(IDS, MASK).numpy()[1:2], alone, atol=1e-6)


def test_a_language_model_becomes_a_classifier_with_a_new_head(tmp_path):
    tokenizer = BPETokenizer.train(["a small cat sat on a mat"] * 3, 270)
    config = GPT2Config(**{**SIZES, "vocab_size": tokenizer.vocab_size})
    model = GPT2LMHeadModel(config)
    model.save_pretrained(tmp_path, tokenizer)
    auto = mf.models.AutoModelForSequenceClassification
    classifier = auto.from_pretrained(tmp_path, num_labels=2)
    assert isinstance(classifier, GPT2ForSequenceClassification)
    assert classifier.load_report.missing == ["score.weight"]
    np.testing.assert_array_equal(
        classifier.transformer.wte.weight.numpy(), model.transformer.wte.weight.numpy()
    )
    classifier.save_pretrained(tmp_path / "c", tokenizer)
    labels, chances = mf.load(tmp_path / "c").predict(["a cat", "", "a mat sat"])
    assert labels[1] is None
    assert np.isnan(chances[1]).all()
    assert chances[[0, 2]].sum(axis=1) == pytest.approx([1, 1], abs=1e-5)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (("--pooling", "mean"), "which is read off its last token: no --pooling"),
        (("--task", "regression"), "whose head without a bias fits no numbers"),
        (("--text-pair", "label"), "it reads no pairs"),
    ],
)
def test_what_a_gpt2_cannot_do_is_refused(capsys, tmp_path, more, reason):
    tokenizer = BPETokenizer.train(["a small cat sat on a mat"] * 3, 270)
    config = GPT2Config(**{**SIZES, "vocab_size": tokenizer.vocab_size})
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "m", tokenizer)
    rows = [(f"text {i}", str(i % 7), "b") for i in range(40)]
    data = write_table(tmp_path / "t.csv", *rows, header=("text", "number", "label"))
    said = mistake(
        capsys, "finetune", "--model", tmp_path / "m", "--data", data, "--text", "text",
        "--label", "number", "--output", tmp_path / "out", *more,
    )  # fmt: skip
    assert said.endswith(reason)
    assert not (tmp_path / "out").exists()
