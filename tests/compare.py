"""What it means that a model of ours equals one of transformers; each family's tests ask it."""

import contextlib
import io
import logging

import numpy as np
from oracle import oracle

torch = oracle("torch")
transformers = oracle("transformers")
transformers.logging.set_verbosity_warning()
transformers.logging.disable_progress_bar()

PRECISIONS = [(np.float64, 1e-10), (np.float32, 1e-5)]
FLOOR = 1e-4  # of the model's largest gradient: below it, entries are differences of large numbers


def to_torch(batch):
    return {name: torch.tensor(value) for name, value in batch.items()}


def twin_of(theirs, ours, dtype, device="cpu"):
    """Spread weights widely, so that no part of the model is close to linear, and copy them."""
    torch.manual_seed(0)
    for name, p in theirs.named_parameters():
        is_norm = p.ndim == 1 and name.endswith("weight")
        torch.nn.init.normal_(p, mean=1.0 if is_norm else 0.0, std=0.3)
    return copied(theirs, ours, dtype, device)


def copied(theirs, ours, dtype, device="cpu"):
    """Both models in this dtype and in evaluation mode, ours with their weights on `device`."""
    theirs.to(getattr(torch, np.dtype(dtype).name)).eval()
    for tensor in ours.named_tensors().values():
        if tensor.dtype.kind == "f":
            tensor.data = tensor.data.astype(dtype)
    ours.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    return ours.to(device).eval()


def assert_close(ours, theirs, tolerance, name="", floor=1e-3):
    """Close relative to the largest entry: small ones are differences of large ones."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    scale = max(np.abs(theirs).max(), floor)
    np.testing.assert_allclose(ours / scale, theirs / scale, rtol=0, atol=tolerance, err_msg=name)


def assert_same_gradients(ours, theirs, tolerance, zero=()):
    """Every parameter under the same name, with the same gradient.

    Keys' biases, and the names that end as `zero` says, have a true gradient of 0: a softmax does
    not see what is added to all its scores. Only rounding is left there, and has to be small.
    """
    expected = {name: p.grad.numpy() for name, p in theirs.named_parameters()}
    assert sorted(expected) == sorted(name for name, _ in ours.named_parameters())
    largest = max(np.abs(gradient).max() for gradient in expected.values())
    for name, p in ours.named_parameters():
        assert p.grad.dtype == p.dtype
        if name.endswith(("key.bias", "k_proj.bias", *zero)):
            assert np.abs(p.grad.numpy()).max() < tolerance * largest
        else:
            assert_close(p.grad.numpy(), expected[name], tolerance, name, FLOOR * largest)


@contextlib.contextmanager
def no_warnings():
    """Inside, transformers logs nothing at the level of a warning or above."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("transformers")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
    assert stream.getvalue() == ""


def opened(auto, folder, **settings):
    """What transformers makes of a folder, without a warning and with every weight in its place."""
    with no_warnings():
        model, info = getattr(transformers, auto).from_pretrained(
            folder, output_loading_info=True, **settings
        )
    assert not any(info.values()), info
    return model.eval()
