"""GPT-2 against transformers: logits, loss, gradients, folders; and that the cache is exact."""

import json

import numpy as np
import pytest
from compare import (
    PRECISIONS,
    assert_close,
    assert_same_gradients,
    opened,
    to_torch,
    torch,
    transformers,
    twin_of,
)

from minift import hub, no_grad, ops
from minift.models import GPT2Config, GPT2LMHeadModel, GPT2Model, KeyValueCache
from minift.models.generation import Generator, choose, next_distribution
from minift.tensor import Tensor

SIZES = {"vocab_size": 40, "n_positions": 24, "n_embd": 12, "n_layer": 2, "n_head": 3}
QUIET = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
CASES = {
    "small": {},
    "erf, another width": {"activation_function": "gelu", "n_inner": 20},
    "one head": {"n_head": 1, "layer_norm_epsilon": 1e-3},
}


def config_of(case="small", **more):
    return GPT2Config(**{**SIZES, **QUIET, **CASES[case], **more})


def their_config(config):
    return transformers.GPT2Config(**{**config.to_dict(), "attn_implementation": "eager"})


def text_batch():
    rng = np.random.default_rng(0)
    mask = (np.arange(9) < np.array([[4], [9], [6]])).astype(np.int64)
    return {"input_ids": rng.integers(0, 40, (3, 9)), "attention_mask": mask}


def spread_model(seed=0, **more):
    """A model whose next tokens are neither certain nor all alike."""
    model = GPT2LMHeadModel(config_of(**more))
    rng = np.random.default_rng(seed)
    for p in model.parameters():
        p.data = p.data + rng.normal(0, 0.3, p.shape).astype(np.float32)
    return model.eval()


# --------------------------------------------------------------------------- against transformers


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_the_language_model_has_the_logits_loss_and_gradients_of_transformers(
    case, dtype, tolerance, device
):
    config, batch = config_of(case), text_batch()
    theirs = transformers.GPT2LMHeadModel(their_config(config))
    ours = twin_of(theirs, GPT2LMHeadModel(config), dtype, device)
    real = batch["attention_mask"] == 1
    labels = np.where(real, batch["input_ids"], -100)
    expected = theirs(**to_torch(batch))
    their_loss = torch.nn.functional.cross_entropy(  # their own loss is in float32 always
        expected.logits[:, :-1].flatten(0, 1), torch.tensor(labels[:, 1:]).flatten()
    )
    their_loss.backward()
    logits = ours(**batch)
    assert logits.dtype == dtype
    assert_close(logits.numpy()[real], expected.logits.detach().numpy()[real], tolerance)
    loss = ops.cross_entropy(logits[:, :-1], labels[:, 1:].tolist())
    loss.backward()
    assert_close(loss.numpy(), their_loss.detach(), tolerance)
    assert_same_gradients(ours, theirs, tolerance)


def test_what_passes_inside_is_shown_to_those_who_ask(device):
    config = config_of()
    ids = text_batch()["input_ids"]
    theirs = transformers.GPT2LMHeadModel(their_config(config))
    ours = twin_of(theirs, GPT2LMHeadModel(config), np.float64, device)
    look = {"output_attentions": True, "output_hidden_states": True}
    expected, shown = theirs(torch.tensor(ids), **look), ours(ids, **look)
    for mine, other in (
        (shown.hidden_states, expected.hidden_states),
        (shown.attentions, expected.attentions),
    ):
        assert len(mine) == len(other)
        for a, b in zip(mine, other):
            assert_close(a.numpy(), b.detach(), 1e-10)


def test_a_transposed_square_matrix_is_caught():
    """It loads without an error, and only the numbers tell."""
    config, batch = config_of(), text_batch()
    theirs = transformers.GPT2LMHeadModel(their_config(config))
    ours = twin_of(theirs, GPT2LMHeadModel(config), np.float64)
    name = "transformer.h.1.attn.c_proj.weight"
    report = ours.load_state_dict({name: ours.state_dict()[name].T}, strict=False)
    assert report.loaded == [name]
    expected = theirs(**to_torch(batch)).logits.detach().numpy()
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_close(ours(**batch).numpy(), expected, 1e-10)


def test_no_token_sees_what_follows():
    model, ids = spread_model(), text_batch()["input_ids"]
    changed = ids.copy()
    changed[:, 5:] = 1
    np.testing.assert_array_equal(model(ids).numpy()[:, :5], model(changed).numpy()[:, :5])
    assert not np.array_equal(model(ids).numpy()[:, 5], model(changed).numpy()[:, 5])


def test_weights_start_as_radford_et_al_drew_them():
    model = GPT2LMHeadModel(config_of(n_embd=48, vocab_size=400, n_layer=8, n_inner=192))
    for name, value in model.state_dict().items():
        if name.endswith("bias"):
            assert (value == 0).all()
        elif "ln_" in name:
            assert (value == 1).all()
        else:
            std = 0.02 / 4 if "c_proj" in name else 0.02  # √(2 · 8) = 4
            assert abs(value.std() / std - 1) < 0.1, name


def test_defaults_are_those_of_transformers():
    theirs = transformers.GPT2Config()
    for name, value in GPT2Config().to_dict().items():
        if name not in ("id2label", "label2id"):
            assert getattr(theirs, name) == value, name


# ---------------------------------------------------------------------------------------- folders


@pytest.mark.parametrize(
    ("ours", "auto"), [(GPT2Model, "AutoModel"), (GPT2LMHeadModel, "AutoModelForCausalLM")]
)
def test_a_saved_folder_opens_in_transformers_with_equal_logits_and_back(ours, auto, tmp_path):
    ids = text_batch()["input_ids"]
    model = ours(config_of(initializer_range=0.4)).eval()
    model.save_pretrained(tmp_path / "ours")
    theirs = opened(auto, tmp_path / "ours")
    assert_close(model(ids).numpy(), theirs(torch.tensor(ids))[0].detach(), 1e-5)
    theirs.save_pretrained(tmp_path / "theirs")
    back = ours.from_pretrained(tmp_path / "theirs")
    np.testing.assert_array_equal(back(ids).numpy(), model(ids).numpy())
    assert back.load_report.problems() == []


def test_the_tied_embedding_is_saved_once(tmp_path):
    GPT2LMHeadModel(config_of()).save_pretrained(tmp_path)
    names = hub.read_model(tmp_path).keys()
    assert "transformer.wte.weight" in names
    assert "lm_head.weight" not in names


def test_the_first_files_lack_the_prefix_and_carry_masks(tmp_path):
    """As OpenAI's weights lie on the hub."""
    model = spread_model()
    model.save_pretrained(tmp_path)
    old = {n.removeprefix("transformer."): a for n, a in model.state_dict().items()}
    for layer in "01":
        old[f"h.{layer}.attn.bias"] = np.tril(np.ones((1, 1, 24, 24), np.float32))
        old[f"h.{layer}.attn.masked_bias"] = np.array(-1e4, np.float32)
    hub.write_arrays(tmp_path / hub.WEIGHTS, old)
    back = GPT2LMHeadModel.from_pretrained(tmp_path)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(back.state_dict()[name], value)
    assert back.load_report.problems() == []
    assert ("wte.weight", "transformer.wte.weight") in back.load_report.renamed


def test_an_untied_output_matrix_is_refused(tmp_path):
    model = spread_model()
    model.save_pretrained(tmp_path)
    state = model.state_dict()
    state["lm_head.weight"] = state["transformer.wte.weight"] + 1
    hub.write_arrays(tmp_path / hub.WEIGHTS, state)
    with pytest.raises(
        ValueError, match=r"wte.weight: is tied to lm_head.weight, but the state hol"
    ):
        GPT2LMHeadModel.from_pretrained(tmp_path)
    hub.write_config(tmp_path, {**hub.read_config(tmp_path), "tie_word_embeddings": False})
    with pytest.raises(ValueError, match="GPT2Config: tie_word_embeddings must be True, got False"):
        GPT2LMHeadModel.from_pretrained(tmp_path)


# ------------------------------------------------------------------------------------- generation


def test_the_cache_changes_nothing(device):
    model, ids = spread_model(), text_batch()["input_ids"]
    for p in model.parameters():
        p.data = p.data.astype(np.float64)
    model.to(device)
    whole = model(ids).numpy()
    with no_grad():
        for cuts in ([9], [1] * 9, [4, 1, 4], [8, 1]):
            cache, start, parts = KeyValueCache(9), 0, []
            for length in cuts:
                parts.append(model(ids[:, start : start + length], cache=cache).numpy())
                start += length
            assert cache.length == 9
            np.testing.assert_allclose(np.concatenate(parts, 1), whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("settings", [{"temperature": 0.0}, {}, {"top_k": 5}, {"top_p": 0.8}])
def test_generation_with_the_cache_is_generation_without(settings, device):
    model, prompt = spread_model().to(device), text_batch()["input_ids"][:, :5]
    cached, plain = (
        model.generate(prompt, 15, seed=3, use_cache=use, **settings) for use in (True, False)
    )
    assert cached.shape == (3, 20)
    np.testing.assert_array_equal(cached, plain)
    np.testing.assert_array_equal(cached[:, :5], prompt)


def test_the_likeliest_tokens_are_those_that_transformers_generates():
    config, prompt = config_of(), text_batch()["input_ids"][:, :5]
    theirs = transformers.GPT2LMHeadModel(their_config(config))
    ours = twin_of(theirs, GPT2LMHeadModel(config), np.float64)
    expected = theirs.generate(
        torch.tensor(prompt),
        attention_mask=torch.ones(prompt.shape, dtype=torch.long),
        max_new_tokens=12,
        do_sample=False,
        pad_token_id=0,
    )
    found = ours.generate(prompt, max_new_tokens=12, temperature=0)
    np.testing.assert_array_equal(found, expected.numpy())


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"),
    [(1.0, None, None), (0.7, None, None), (1.0, 5, None), (1.0, None, 0.6), (1.5, 8, 0.5)],
)
def test_the_distribution_is_cut_as_transformers_cuts_it(temperature, top_k, top_p):
    from transformers.generation import logits_process

    scores = np.random.default_rng(0).normal(0, 3, (50, 30))
    expected = torch.tensor(scores) / temperature
    if top_k is not None:
        expected = logits_process.TopKLogitsWarper(top_k)(None, expected)
    if top_p is not None:
        expected = logits_process.TopPLogitsWarper(top_p)(None, expected)
    found = next_distribution(scores, temperature, top_k, top_p)
    np.testing.assert_allclose(found, torch.softmax(expected, -1).numpy(), rtol=0, atol=1e-12)


def test_draws_follow_the_distribution():
    """χ² of 20,000 draws over 4 tokens, one of them cut off: 2 degrees of freedom, p = 0.001."""
    scores = np.log(np.array([[0.5, 0.3, 0.15, 0.05]]))
    rows = np.repeat(scores, 20000, axis=0)
    draws = choose(rows, 1.0, 3, None, np.random.default_rng(0))
    counts = np.bincount(draws, minlength=4)
    assert counts[3] == 0
    expected = np.array([0.5, 0.3, 0.15]) / 0.95 * 20000
    assert ((counts[:3] - expected) ** 2 / expected).sum() < 13.8


def test_a_tiny_temperature_is_the_likeliest_token():
    scores = np.random.default_rng(0).normal(0, 3, (20, 30)).astype(np.float32)
    likeliest = choose(scores, 0, None, None, np.random.default_rng(0))
    np.testing.assert_array_equal(likeliest, scores.argmax(-1))
    for temperature in (1e-6, 1e-300):
        drawn = choose(scores, temperature, None, 0.9, np.random.default_rng(0))
        np.testing.assert_array_equal(drawn, likeliest)


def test_a_seed_decides_and_one_text_may_be_flat():
    model = spread_model()
    first, again, other = (model.generate([1, 2, 3], 10, seed=s) for s in (1, 1, 2))
    assert first.shape == (13,)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(model.generate([1, 2], 10), model.generate([1, 2], 10))


def test_a_text_that_has_ended_says_nothing_else():
    model, prompt = spread_model(), text_batch()["input_ids"][:, :5]
    free = model.generate(prompt, 12, seed=0)
    end = int(free[0, 8])
    model.config.eos_token_id = end
    found = model.generate(prompt, 12, seed=0)
    first = 5 + int((found[0, 5:] == end).argmax())
    assert first <= 8
    assert (found[0, first:] == end).all()
    alone = model.generate(prompt[:1], 12, seed=0)
    assert alone.shape[1] <= 17
    assert alone[0, -1] == end or alone.shape[1] == 17


def test_generation_rests_dropout_and_leaves_the_mode_as_it_was():
    model = GPT2LMHeadModel(GPT2Config(**SIZES)).train()
    first, again = (model.generate([1, 2, 3], 10, seed=0) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert model.transformer.drop.training


# --------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_new_tokens": 0}, "generate: max_new_tokens must be 1 or more, got 0"),
        ({"max_new_tokens": 22}, r"a prompt of 3 tokens leaves room for 21 new ones .* asked were"),
        ({"temperature": -1}, "generate: temperature must be 0 or more, got -1"),
        ({"temperature": float("nan")}, "generate: temperature must be 0 or more, got nan"),
        ({"top_k": 0}, "generate: top_k must be a whole number of at least 1, got 0"),
        ({"top_p": 0}, r"generate: top_p must lie in \(0, 1\], got 0"),
        ({"top_p": 1.1}, r"generate: top_p must lie in \(0, 1\], got 1.1"),
    ],
)
def test_settings_that_generate_nothing_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        spread_model().generate([1, 2, 3], **settings)


def test_a_model_that_does_not_say_what_comes_next_cannot_generate():
    with pytest.raises(NotImplementedError, match=r"Generator defines no next_scores\(\)"):
        Generator().next_scores(np.ones((1, 1), int), None)
    with pytest.raises(NotImplementedError, match=r"Generator defines no new_cache\(\)"):
        Generator().new_cache(3)


def test_a_cache_that_cannot_serve_says_so():
    model, ids = spread_model(), text_batch()["input_ids"]
    with pytest.raises(ValueError, match="a KeyValueCache keeps no graph; use it inside `with no"):
        model(ids, cache=KeyValueCache(9))
    with no_grad():
        with pytest.raises(ValueError, match="a cache goes with no attention_mask and shows not"):
            model(ids, np.ones_like(ids), cache=KeyValueCache(9))
        with pytest.raises(ValueError, match="this KeyValueCache has room for 5 tokens, got 9"):
            model(ids, cache=KeyValueCache(5))
        cache = KeyValueCache(40)
        model(ids, cache=cache)
        with pytest.raises(ValueError, match=r"input_ids must be .* with 1 to 15 tokens .* \(3"):
            model(np.repeat(ids, 2, axis=1), cache=cache)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_layer": 0}, "GPT2Config: n_layer must be a whole number of at least 1, got 0"),
        ({"n_head": 5}, r"n_embd \(12\) must be a multiple of n_head \(5\)"),
        ({"n_inner": 0}, "n_inner must be a whole number of at least 1, got 0"),
        ({"attn_pdrop": 1}, r"attn_pdrop must lie in \[0, 1\), got 1"),
        ({"activation_function": "relu"}, "activation_function must be gelu_new or gelu, got 'rel"),
        ({"layer_norm_epsilon": -1e-5}, "layer_norm_epsilon must be a number above 0"),
    ],
)
def test_a_configuration_that_makes_no_gpt2_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        GPT2Config(**{**SIZES, **settings})


@pytest.mark.parametrize("name", ["scale_attn_by_inverse_layer_idx", "add_cross_attention"])
def test_a_variant_that_is_not_built_here_is_refused(name):
    with pytest.raises(ValueError, match=f"GPT2Config: {name} must be False, got True"):
        GPT2Config.from_dict({**SIZES, name: True})


def test_a_special_token_beyond_the_vocabulary_is_no_token():
    assert config_of().eos_token_id is None
    assert config_of(eos_token_id=7).eos_token_id == 7
    saved = json.loads(json.dumps(config_of(eos_token_id=7).to_dict()))
    assert GPT2Config.from_dict(saved).eos_token_id == 7


def test_ids_come_as_lists_or_tensors_too():
    model, ids = spread_model(), text_batch()["input_ids"]
    expected = model(ids).numpy()
    np.testing.assert_array_equal(model(ids.tolist()).numpy(), expected)
    np.testing.assert_array_equal(model(Tensor(ids)).numpy(), expected)
