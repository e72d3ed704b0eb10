"""Forgetting of an encoder of images: how well it still serves the model that it was a part of.

The tuned encoder is put back below the head that it was pre-trained with, which stayed as it was,
and the old loss is taken on held-out images: an autoencoder or a VAE draws them again, SimCLR tells
two views of one from those of others. As on texts (`minift/finetune/forgetting.py`), before and
after. The images are like those of pre-training, perhaps some of them: what counts is the
difference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minift import hub
from minift.backend import random
from minift.jobs.image_classifiers import CHUNK
from minift.jobs.image_finetuning.plan import Plan
from minift.jobs.pretraining.image_work import views
from minift.jobs.pretraining.recipes import RECIPES
from minift.models import load
from minift.models.pretrained import PretrainedModel, made_for
from minift.objectives import Contrastive, EvidenceLowerBound, Reconstruction
from minift.tape import no_grad
from minift.train.trainer import Objective


def contrastive(size: int) -> Objective:
    """SimCLR's objective on images of this size, as `minift pretrain` has it."""
    return Contrastive(views(size), RECIPES["simclr"].settings["temperature"])


SOURCES: dict[str, tuple[str, Callable[[int], Any]]] = {  # by size, for views depend on it
    "Autoencoder": ("drawing images again", lambda size: Reconstruction()),
    "VAE": ("drawing images again from distributions", lambda size: EvidenceLowerBound()),
    "SimCLR": ("telling views of one image from others", contrastive),
}
NAMING = ("ResNetForImageClassification", "ViTForImageClassification")


def forgetting_of(plan: Plan) -> dict[str, Any]:
    """The source loss before and after, on images that did not train; or why there is none."""
    kind = made_for(hub.read_config(hub.resolve(plan.options.model)))
    if kind == "GAN":
        return {"unknown": "a GAN has no loss of its own, only a game of two players"}
    if kind in NAMING:
        return {"unknown": "its old task was to name other images, which are not at hand"}
    if kind not in SOURCES:
        return {"unknown": "the folder holds no head for its pre-training objective"}
    rows = (plan.parts.test if len(plan.parts.test) else plan.parts.validation)[:CHUNK]
    if len(rows) < 2:
        return {"unknown": "there are no two held-out images"}
    images = plan.images.images[rows]
    what, objective_for = SOURCES[kind]
    objective, source = objective_for(images.shape[2]), load(plan.options.model).to(plan.device)
    before = source_loss(source, objective, images)
    source.load_state_dict(with_encoder_of(plan.classifier.model, source))
    after = source_loss(source, objective, images)
    return {"objective": what, "images": len(rows), "before": before, "after": after}


def with_encoder_of(model: PretrainedModel, source: PretrainedModel) -> dict[str, np.ndarray]:
    """The weights of the source, with those of the encoder that was tuned."""
    tuned = model.state_dict()
    return {name: tuned.get(name, weight) for name, weight in source.state_dict().items()}


@no_grad()
def source_loss(source: PretrainedModel, objective: Objective, images: np.ndarray) -> float:
    """The objective's loss in evaluation mode, with the same draws each time."""
    state = random.get_state()
    random.manual_seed(0)
    try:
        with source.evaluating():
            loss, _ = objective(source, {"pixel_values": images})
        return loss.item()
    finally:
        random.set_state(state)
