"""Objectives: (model, batch) -> (scalar loss, dict of floats). The trainer knows nothing else."""

from minift.objectives.adversarial import NonSaturating, TwoPlayerStep, Wasserstein
from minift.objectives.classification import Classification
from minift.objectives.contrastive import Contrastive, nt_xent
from minift.objectives.language import CausalLM, MaskedLM
from minift.objectives.multilabel import MultiLabel
from minift.objectives.next_sentence import BertPreTraining, NextSentence
from minift.objectives.reconstruction import Denoising, Reconstruction
from minift.objectives.regression import Regression
from minift.objectives.sentences import SimCSE
from minift.objectives.vae import EvidenceLowerBound

__all__ = [
    "BertPreTraining",
    "CausalLM",
    "Classification",
    "Contrastive",
    "Denoising",
    "EvidenceLowerBound",
    "MaskedLM",
    "MultiLabel",
    "NextSentence",
    "NonSaturating",
    "Reconstruction",
    "Regression",
    "SimCSE",
    "TwoPlayerStep",
    "Wasserstein",
    "nt_xent",
]
