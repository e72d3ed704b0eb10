"""The training loop. Read `trainer.py` first, then `callbacks.py`, which hang on its points."""

from minift.train.average import AverageWeights
from minift.train.callbacks import Callback
from minift.train.checkpoints import Checkpoint
from minift.train.collapse import CollapseDetector
from minift.train.config import History, TrainConfig
from minift.train.device import choose_device
from minift.train.early_stopping import EarlyStopping
from minift.train.norms import Norms
from minift.train.progress import Progress
from minift.train.rates import RateCurve, find_learning_rate
from minift.train.records import JsonLog
from minift.train.split import backward_in_parts
from minift.train.tables import CsvLog
from minift.train.trainer import Trainer, adamw

__all__ = [
    "AverageWeights",
    "Callback",
    "Checkpoint",
    "CollapseDetector",
    "CsvLog",
    "EarlyStopping",
    "History",
    "JsonLog",
    "Norms",
    "Progress",
    "RateCurve",
    "TrainConfig",
    "Trainer",
    "adamw",
    "backward_in_parts",
    "choose_device",
    "find_learning_rate",
]
