"""What a model can do now, as pictures: images drawn again, made up, compared; codes on a plane.

Each file is called by what it shows and the step, `reconstructions-0300.png`, so that a folder of
them is a film. Not here: how anything is drawn (`minift/plot/`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minift import plot
from minift.backend import random
from minift.objectives.contrastive import unit_rows
from minift.probes import PrincipalComponents
from minift.tape import no_grad

if TYPE_CHECKING:
    from minift.jobs.pretraining.image_work import ImageWork

COLUMNS, ROWS = 16, 4
POINTS = 1000  # on the plane
COMPARED = 32  # images of a similarity matrix


def named(folder: Path, what: str, step: int) -> Path:
    """The file of a picture."""
    return folder / f"{what}-{step:05}.png"


def draw_images(work: ImageWork, model: Any, folder: Path, step: int) -> None:
    """All pictures of an objective on images. The draws of training are not touched."""
    before = random.get_state()
    try:
        with no_grad(), model.evaluating():
            for what in PICTURES[work.name]:
                what(work, model, folder, step)
    finally:
        random.set_state(before)
    draw_plane(work, model, folder, step)


def reconstructions(work: ImageWork, model: Any, folder: Path, step: int) -> None:
    """Held-out images, what the model is given if that is another, and what it draws."""
    shown = work.held.images[:COLUMNS]
    noise = work.recipe.settings.get("noise", 0.0)
    given = shown + noise * np.random.default_rng(0).standard_normal(shown.shape)
    given = given.astype(np.float32)
    rows = [shown, *([given] if noise else []), model(given).numpy()]
    plot.image_grid(np.stack(rows), named(folder, "reconstructions", step))


def samples(work: ImageWork, model: Any, folder: Path, step: int) -> None:
    """New images: the same draws each time, so that one can watch them grow."""
    random.manual_seed(0)
    count = ROWS * COLUMNS
    drawn = model.samples(count) if work.name == "gan" else model.generate(count)
    grid = drawn.reshape(ROWS, COLUMNS, *drawn.shape[1:])
    plot.image_grid(grid, named(folder, "samples", step))


def walks(work: ImageWork, model: Any, folder: Path, step: int) -> None:
    """The way from the code of one image to that of another, row by row."""
    images = work.held.images
    pairs = [(i, i + 1) for i in range(0, min(2 * ROWS, len(images) - 1), 2)]
    if pairs:
        rows = [model.walk(images[i], images[j], COLUMNS) for i, j in pairs]
        plot.image_grid(np.stack(rows), named(folder, "walks", step))


def similarities(work: ImageWork, model: Any, folder: Path, step: int) -> None:
    """Cosines of two views of each image: twins stand on the diagonal, classes side by side."""
    from minift.jobs.pretraining.image_work import views

    images = work.held.images[:COMPARED]
    if work.held.labels is not None:
        images = images[np.argsort(work.held.labels[:COMPARED], kind="stable")]
    change, rng = views(images.shape[2]), np.random.default_rng(0)
    first, second = (unit_rows(model(change(images, rng)).numpy()) for _ in range(2))
    file = named(folder, "similarities", step)
    plot.similarity(first @ second.T, "first views", "second views", file)


def draw_plane(work: ImageWork, model: Any, folder: Path, step: int) -> None:
    """The codes of held-out images in the two directions in which they differ most."""
    rows = np.arange(min(POINTS, len(work.held)))
    features = work.features(model, "held", rows)
    if min(features.shape) < 2:
        return
    points = PrincipalComponents(2).fit(features).encode(features)
    labels = None if work.held.labels is None else work.held.labels[rows]
    plot.plane(points, labels, work.held.classes, named(folder, "codes", step))


PICTURES = {
    "autoencoder": (reconstructions,),
    "denoising": (reconstructions,),
    "vae": (reconstructions, samples, walks),
    "gan": (samples,),
    "simclr": (similarities,),
}
