"""Keras with autotrack: run this file, then `autotrack ls` and `autotrack show RUN`."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")  # or jax, or tensorflow
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # TensorFlow, where it is installed, says less at its start

import keras
import numpy as np

import autotrack

autotrack.enable("keras", batch_metrics=10)

generator = np.random.default_rng(0)
x = generator.normal(size=(1200, 10)).astype("float32")
y = (x[:, 0] + x[:, 1] * x[:, 2] > 0).astype("float32")


def classifier(name):
    model = keras.Sequential(
        [keras.Input((10,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(1, "sigmoid")], name=name
    )
    rate = keras.optimizers.schedules.CosineDecay(0.01, 200)
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy", metrics=["accuracy"])
    return model


# One fit is one run; what is evaluated later is added to it.
model = classifier("small")
stopping = keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)
model.fit(x[:1000], y[:1000], epochs=6, validation_split=0.2, callbacks=[stopping], verbose=0)
model.evaluate(x[1000:], y[1000:], verbose=0)

# In a run of your own.
with autotrack.start_run("weighted", tags={"stage": "example"}) as run:
    model = classifier("weighted")
    model.fit(x[:1000], y[:1000], epochs=3, class_weight={0: 1.0, 1: 2.0}, verbose=0)
    share = float((model.predict(x[1000:], verbose=0) > 0.5).mean())
    run.log_metrics({"share of positives": share})
