"""Fine-tuning on a CSV from Python, in the words of the README."""

import re
from pathlib import Path

from finetune_cases import pretrained, reviews

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
(BLOCK,) = (
    block
    for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    if "reviews.csv" in block
)


def test_the_block_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    reviews(tmp_path / "reviews.csv", 60)
    pretrained(tmp_path / "minilm")
    exec(BLOCK, {})
    said = capsys.readouterr().out
    assert said.startswith((r"(['good'], array([[", r"(['bad'], array([["))


def test_it_learns(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    reviews(tmp_path / "reviews.csv", 240)
    pretrained(tmp_path / "minilm")
    names = {}
    exec(BLOCK.replace("lr=5e-5", "lr=1e-2").replace("epochs=3", "epochs=10"), names)
    held = names["trainer"].validation
    assert names["trainer"].evaluate(held)["accuracy"] > 0.85
