"""Fine-tuning on a CSV from Python, in the words of the README."""

from finetune_cases import pretrained, reviews

BLOCK = """
import minift as mf

mf.manual_seed(0)
table = mf.data.read_csv("reviews.csv")
names = sorted(set(table["label"]))
labels = [names.index(label) for label in table["label"]]
texts, held_texts, labels, held_labels = mf.data.train_test_split(
    table["text"], labels, stratify=labels, group=table["text"]
)

model = mf.models.AutoModelForSequenceClassification.from_pretrained(
    "minilm", id2label=dict(enumerate(names))
)
tokenizer = mf.data.WordPieceTokenizer.from_pretrained("minilm")
trainer = mf.Trainer(
    model,
    train=tokenizer.dataset(texts, max_length=128, labels=labels),
    validation=tokenizer.dataset(held_texts, max_length=128, labels=held_labels),
    objective=mf.objectives.Classification(),
    config=mf.TrainConfig(epochs=3, lr=5e-5),
    callbacks=[mf.train.EarlyStopping(patience=2)],
)
trainer.fit()
model.save_pretrained("out", tokenizer)
print(mf.load("out").predict(["a film to see twice"]))
"""


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
