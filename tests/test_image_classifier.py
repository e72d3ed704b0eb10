"""ImageClassifier: the encoder of each model that was pre-trained on images, under a new head."""

import numpy as np
import pytest

import minift as mf
from minift.models import (
    GAN,
    VAE,
    Autoencoder,
    AutoencoderConfig,
    GANConfig,
    ImageClassifier,
    ImageClassifierConfig,
    SimCLR,
    SimCLRConfig,
    VAEConfig,
)

SIZES = {"image_size": 8, "hidden_sizes": (12, 6), "code_size": 3}
MODELS = {
    "autoencoder": (Autoencoder, AutoencoderConfig),
    "vae": (VAE, VAEConfig),
    "gan": (GAN, GANConfig),
    "simclr": (SimCLR, SimCLRConfig),
}
IMAGES = np.random.default_rng(0).random((5, 1, 8, 8)).astype(np.float32)


@pytest.mark.parametrize("convolutional", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_the_features_are_those_of_the_pretrained_encoder(tmp_path, name, convolutional):
    kind, config = MODELS[name]
    model = kind(config(**SIZES, convolutional=convolutional))
    model.save_pretrained(tmp_path)
    classifier = ImageClassifier.from_pretrained(tmp_path, num_labels=4)
    encoder = model.discriminator if name == "gan" else model.encoder
    with mf.no_grad():
        np.testing.assert_array_equal(
            classifier.encoder(IMAGES).numpy(), encoder.features(IMAGES).numpy()
        )
        assert classifier(IMAGES).shape == (5, 4)
    report = classifier.load_report
    assert report.missing == ["classifier.weight", "classifier.bias"]
    assert "the classification head is new" in report.notes[0]


@pytest.mark.parametrize("convolutional", [False, True])
def test_of_simclr_the_head_reads_what_the_paper_calls_h(tmp_path, convolutional):
    """All layers below the projection."""
    model = SimCLR(SimCLRConfig(**SIZES, convolutional=convolutional))
    model.save_pretrained(tmp_path)
    classifier = ImageClassifier.from_pretrained(tmp_path, num_labels=4)
    with mf.no_grad():
        h = model.encode(IMAGES)
        np.testing.assert_array_equal(classifier.features(IMAGES).numpy(), h.numpy())
        np.testing.assert_array_equal(model.projection(h).numpy(), model(IMAGES).numpy())


def test_a_saved_classifier_comes_back_with_its_head(tmp_path):
    model = ImageClassifier(ImageClassifierConfig(**SIZES, num_labels=3))
    model.save_pretrained(tmp_path)
    again = mf.load(tmp_path)
    assert isinstance(again, ImageClassifier)
    assert again.load_report.notes == []
    np.testing.assert_array_equal(again(IMAGES).numpy(), model(IMAGES).numpy())


def test_an_encoder_of_another_size_is_refused(tmp_path):
    Autoencoder(AutoencoderConfig(**SIZES)).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="do not fit ImageClassifier"):
        ImageClassifier.from_pretrained(tmp_path, hidden_sizes=(12, 7))
