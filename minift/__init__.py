"""minift: pre-train a model on unlabelled data, then fine-tune it on few labels.

    import minift as mf
    x = mf.Tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    x.grad                                   # 2x

Importing it needs NumPy alone. Read `minift/tensor.py` first.
"""

from minift import (
    baselines,
    data,
    finetune,
    imbalance,
    metrics,
    models,
    nn,
    objectives,
    optim,
    plot,
    probes,
    search,
)
from minift import ops as functional
from minift.autograd import grad, op
from minift.backend import cuda
from minift.backend.allocator import keep_freed_memory
from minift.backend.random import manual_seed
from minift.factories import (
    arange,
    full,
    full_like,
    ones,
    ones_like,
    rand,
    rand_like,
    randn,
    randn_like,
    zeros,
    zeros_like,
)
from minift.gradcheck import GradientError, gradcheck
from minift.hub import load_weights, save_weights
from minift.kernels import get_num_threads, set_num_threads
from minift.models import load
from minift.ops import concatenate, einsum, stack, where
from minift.profiling import profile
from minift.tensor import Tensor, no_grad
from minift.train import TrainConfig, Trainer

__version__ = "0.1.0"

keep_freed_memory()

__all__ = [
    "GradientError",
    "Tensor",
    "TrainConfig",
    "Trainer",
    "arange",
    "baselines",
    "concatenate",
    "cuda",
    "data",
    "einsum",
    "finetune",
    "full",
    "full_like",
    "functional",
    "get_num_threads",
    "grad",
    "gradcheck",
    "imbalance",
    "load",
    "load_weights",
    "manual_seed",
    "metrics",
    "models",
    "nn",
    "no_grad",
    "objectives",
    "ones",
    "ones_like",
    "op",
    "optim",
    "plot",
    "probes",
    "profile",
    "rand",
    "rand_like",
    "randn",
    "randn_like",
    "save_weights",
    "search",
    "set_num_threads",
    "stack",
    "where",
    "zeros",
    "zeros_like",
]
