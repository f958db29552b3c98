"""One run, several backends: run this file, then `tensorboard --logdir .autotrack/tensorboard` and `autotrack ls`.

TensorBoard is not needed to write its files. `autotrack import tensorboard FOLDER` brings those of others in.
"""

import math

import autotrack

# Each backend gets every event, at its own pace; one that is down delays no other, and gets it later.
autotrack.enable(backends=["local", "tensorboard", "dvclive"])

with autotrack.start_run("decay", params={"rate": 0.1, "steps": 50}, tags={"purpose": "example"}) as run:
    for step in range(50):
        run.log_metrics({"train/loss": math.exp(-0.1 * step), "train/noise": math.sin(step)}, step=step)

print("autotrack show", run.id, "  # under `delivery`: what each backend has, and what it could not carry")
