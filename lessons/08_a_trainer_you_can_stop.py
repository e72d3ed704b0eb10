# %% [markdown]
# # Lesson 08: A Trainer you can stop
#
# - **You build:** a training loop with callbacks, early stopping, and a resume that is exact to the
#   last bit
# - **You need:** lessons 04 to 07; the digits that ship
# - **Time:** 40 minutes to read, 6 seconds to run
# - **Exercise:** fix the bug
#
# Training takes hours, and machines get switched off. Everybody saves the weights. Then the run
# goes on, the loss jumps, the result is another one, and nobody can repeat it. A run has more state
# than its weights. Here we find all of it, and prove it: a run that was killed and resumed must end
# with **the same weights, bit for bit**, as one that was left alone.

# %% [markdown]
# ## The loop
#
# One *step*: take a batch, compute the loss, go back, shorten the gradient, set the rate, update.
# What else people want, from a progress bar to a checkpoint, should not be written into the loop.
# It calls its *callbacks* after each step, and they do it.
#
# What does the next step depend on? Look at the code and list it: the **weights**; the
# **optimizer's memory** (lesson 06); the **number of the step**, which gives the rate and the place
# in the data, because the order is a function of seed and epoch (lesson 07); and the **random
# generators**, because dropout draws. If all of these are restored, the next step must be the same.
# There is nothing else.

# %%
import copy
import tempfile

import numpy as np

import minift as mf
from minift import functional as F
from minift import learn
from minift.backend import random as generators
from minift.train import Callback, Checkpoint, TrainConfig, Trainer, adamw

digits = mf.data.load_digits()
images, labels = digits.train[0].reshape(-1, 64), digits.train[1]
images, labels, held_images, held_labels = images[:500], labels[:500], images[500:], labels[500:]
STEPS, BATCH, RATE, KILLED = 240, 32, 0.01, 100


class Network(mf.nn.Module):
    def __init__(self):
        self.hidden, self.drop = mf.nn.Linear(64, 64), mf.nn.Dropout(0.3)
        self.out = mf.nn.Linear(64, 10)

    def forward(self, images):
        return self.out(self.drop(F.relu(self.hidden(images))))


class Loop:
    """A training run that knows all of its state."""

    def __init__(self, steps, callbacks=(), seed=0):
        mf.manual_seed(seed)
        self.model = Network()
        self.optimizer = adamw([{"params": self.model.parameters()}], RATE, weight_decay=0.01)
        self.steps, self.seed, self.step, self.callbacks = steps, seed, 0, callbacks

    def batch(self):
        """The rows of the next step: a function of its number."""
        per_epoch = -(-len(images) // BATCH)  # rounded up
        epoch, place = divmod(self.step, per_epoch)
        order = np.random.default_rng([self.seed, epoch]).permutation(len(images))
        return order[place * BATCH : (place + 1) * BATCH]

    def fit(self, until=None):
        self.model.train()  # dropout on
        until = self.steps if until is None else until
        while self.step < until:
            rows = self.batch()
            self.optimizer.zero_grad()
            F.cross_entropy(self.model(mf.Tensor(images[rows])), labels[rows]).backward()
            mf.optim.clip_grad_norm_(self.model.parameters(), 1.0)
            warmup = int(0.1 * self.steps)
            for group in self.optimizer.param_groups:
                group["lr"] = RATE * mf.optim.schedules.linear(self.step, self.steps, warmup)
            self.optimizer.step()
            self.step += 1
            for callback in self.callbacks:
                callback(self)
        return self

    def state(self):
        """Everything that the next step depends on."""
        return copy.deepcopy({
            "weights": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "random": generators.get_state(),
        })  # fmt: skip

    def restore(self, state):
        self.model.load_state_dict(state["weights"])
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self.step = state["step"]
        generators.set_state(state["random"])
        return self


def held_out_loss(model):
    with model.evaluating(), mf.no_grad():  # dropout off, and on again afterwards
        return F.cross_entropy(model(mf.Tensor(held_images)), held_labels).item()


# %% [markdown]
# ## Three runs
#
# The first is left alone. The second is killed after 100 steps; a new `Loop`, as a new process
# would make it, gets the saved state. The third is what most people do: it gets only the
# **weights**, and trains for the steps that are left.

# %%


def watched(first_step=0):
    """A callback that notes the held-out loss every five steps, and its list."""
    curve = []

    def note(loop):
        if loop.step % 5 == 0:
            curve.append((first_step + loop.step, held_out_loss(loop.model)))

    return note, curve


note, alone_curve = watched()
alone = Loop(STEPS, [note]).fit()
saved = Loop(STEPS).fit(until=KILLED).state()

mf.manual_seed(99)  # a new process has other numbers in its generators
note, resumed_curve = watched()
resumed = Loop(STEPS, [note]).restore(saved).fit()

note, weights_curve = watched(first_step=KILLED)
weights_only = Loop(STEPS - KILLED, [note], seed=0)
weights_only.model.load_state_dict(saved["weights"])
weights_only.fit()


def farthest(a, b):
    """Largest difference of two models' weights."""
    pairs = zip(a.state_dict().values(), b.state_dict().values())
    return max(float(np.abs(x - y).max()) for x, y in pairs)


exact = farthest(resumed.model, alone.model)
naive = farthest(weights_only.model, alone.model)
print(f"largest difference of a weight from the run that was left alone:\n"
      f"  all state restored: {exact}\n  only the weights:   {naive:.3f}")  # fmt: skip
assert exact == 0.0

# %% [markdown]
# The third run is not worse; it is **another** run. Its optimizer has forgotten, it sees the first
# batches once more, its rate warms up again. Whoever compares two methods by runs of which one was
# interrupted compares the interruption, too.

# %%
figure, axes = learn.new_figure()
axes.plot(*np.transpose(alone_curve), color=learn.SKY, linewidth=5, label="left alone")
axes.plot(*np.transpose(resumed_curve), ".", color=learn.BLACK, label="killed at 100, all restored")
axes.plot(*np.transpose(weights_curve), "--", color=learn.RED, label="killed at 100, weights only")
axes.axvline(KILLED, color=learn.GREY, linewidth=1, linestyle=":")
axes.set(
    xlabel="step", ylabel="loss on held-out digits (nats)", xlim=(40, STEPS), ylim=(0.15, 0.65)
)
axes.set_title("Restored in full, a run goes on as if nothing had happened")
axes.legend(frameon=False)
learn.picture(figure, "08_a_trainer_you_can_stop")

# %% [markdown]
# ## The library does the same
#
# `mf.Trainer` is this loop with more callbacks. With the same settings it must arrive at our
# weights. Its `Checkpoint` writes the state to files; we kill it in the middle of an epoch with an
# exception, make a new Trainer, and let it resume.

# %%


class PowerCut(Callback):
    def on_step_end(self, trainer):
        if trainer.step == KILLED + 7:
            raise KeyboardInterrupt


def trainer(folder, *callbacks):
    mf.manual_seed(0)
    return Trainer(
        Network(),
        mf.data.ArrayDataset(images=images, labels=labels),
        objective=mf.objectives.Classification(),
        config=TrainConfig(steps=STEPS, batch_size=BATCH, lr=RATE, device="cpu"),
        callbacks=[Checkpoint(folder, every=50), *callbacks],
    )


with tempfile.TemporaryDirectory() as folder:
    undisturbed = trainer(f"{folder}/a")
    undisturbed.fit()
    try:
        trainer(f"{folder}/b", PowerCut()).fit()
    except KeyboardInterrupt:
        print("the power is gone")
    second = trainer(f"{folder}/b", Callback())  # as many callbacks as before
    second.resume(f"{folder}/b").fit()

after_resume = farthest(second.model, undisturbed.model)
from_ours = farthest(undisturbed.model, alone.model)
print(f"Trainer, resumed and left alone: largest difference {after_resume}")
print(f"Trainer and our loop:            largest difference {from_ours:.0e}")
assert after_resume == 0.0
assert from_ours < 1e-5

# %% [markdown]
# ## When to stop
#
# > **Erratum E85.** One article stops "when the score on the validation set reaches a preset
# > threshold". It may never do so, and then training never ends, or it does so once by luck. The
# > usual rule needs no threshold: *patience*. Stop when the validation loss was not better than the
# > best so far for *p* evaluations in a row, and go back to the **best** weights, not the last
# > ones. (**Erratum E02**: "until convergence", says another. Of the training loss? By then the
# > held-out loss may have been rising for long. **Erratum E83**: the program of the first never
# > switches to training mode, so that its dropout is off; look for `model.train()` in our loop.)

# %%


class Patience:
    """Stops a Loop that no longer improves, and keeps its best weights."""

    def __init__(self, patience, every=10):
        self.patience, self.every, self.best, self.waited = patience, every, np.inf, 0

    def __call__(self, loop):
        if loop.step % self.every:
            return
        loss = held_out_loss(loop.model)
        if loss < self.best:
            self.best, self.waited, self.weights = loss, 0, loop.model.state_dict()
        else:
            self.waited += 1
        if self.waited == self.patience:
            loop.step = loop.steps  # ends the loop


patience = Patience(patience=8)
stopped = Loop(2000, [patience]).fit()
print(f"last loss {held_out_loss(stopped.model):.3f}, best {patience.best:.3f}: take the best")
stopped.model.load_state_dict(patience.weights)
assert held_out_loss(stopped.model) == patience.best

# %% [markdown]
# ## Exercise (fix the bug)
#
# `Patience` is too simple for real life: losses become NaN, two evaluations are equal, an
# improvement may be too small to count. `lessons/exercises/ex08.py` has a version with all of that,
# and six bugs. Mend it, and check it with `minift learn check 8`.

# %%
learn.result(
    lesson=8,
    metric="largest weight difference after a resume",
    value=exact,
    baseline=naive,
    against="weights alone restored",
    passed=exact == 0.0 < naive,
)
