"""The training loop. Read `trainer.py` first, then `callbacks.py`, which hang on its points."""

from minift.train.callbacks import Callback
from minift.train.checkpoints import Checkpoint
from minift.train.config import History, TrainConfig
from minift.train.device import choose_device
from minift.train.early_stopping import EarlyStopping
from minift.train.progress import Progress
from minift.train.records import JsonLog
from minift.train.trainer import Trainer, adamw

__all__ = [
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "History",
    "JsonLog",
    "Progress",
    "TrainConfig",
    "Trainer",
    "adamw",
    "choose_device",
]
