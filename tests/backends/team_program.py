"""One person's training, started as `python team_program.py NAME STEPS`; waits in the middle until a line comes in.

A logistic regression by gradient descent; the first of the team trains scikit-learn's instead.
"""

import sys
from typing import Any

import numpy as np

import autotrack
from autotrack.plugin import ModelFormat, Saved, hookimpl
from autotrack.plugins import plugins

name, steps = sys.argv[1], int(sys.argv[2])


class Regression:
    """Weights, and a step towards better ones."""

    def __init__(self) -> None:
        self.weights = np.zeros(5)

    def step(self, x: Any, y: Any) -> None:
        self.weights -= 0.1 * x.T @ (1 / (1 + np.exp(-x @ self.weights)) - y) / len(y)


@hookimpl
def autotrack_register_formats(register):
    """Regressions are kept as their numbers, in parts."""
    register(ModelFormat(package="__main__", save="__main__:save", load="__main__:load", formats=("numbers",)))


def save(model: Regression) -> Saved:
    """The numbers, and what makes each person's model another."""
    parts = (model.weights.tobytes(), name.encode() * 500_000)
    return Saved("numbers", parts=parts, size=sum(map(len, parts)))


plugins.register(sys.modules[__name__], "numbers")
generator = np.random.default_rng(len(name))
x = generator.normal(size=(200, 5))
y = (x[:, 0] > 0).astype(float)
if name == "ada":
    from sklearn.linear_model import SGDClassifier

    model = SGDClassifier(random_state=0)
    learn = lambda: model.partial_fit(x, y, classes=[0, 1])  # noqa: E731
else:
    model = Regression()
    learn = lambda: model.step(x, y)  # noqa: E731

with autotrack.start_run(name, tags={"person": name}) as run:
    run.log_dataset(x, role="train", name="points")
    run.log_params({"steps": steps})
    for step in range(steps):
        if step % 50 == 0:
            learn()
        run.log_metrics({"loss": 1 / (step + 1), "score": float(step)}, step=step)
        if step == steps // 2:
            run.log_artifact(f"report of {name}".encode() * 1000, "report.txt")
            print("half", flush=True)
            sys.stdin.readline()
    run.log_model(model, "classifier")
