"""transformers with autotrack: run this file, then `autotrack ls` and `autotrack show RUN`."""

import tempfile

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments, set_seed
from transformers.utils import logging

import autotrack

autotrack.enable("transformers")
logging.disable_progress_bar()
set_seed(0)

# Sentences of eight "words"; the label says whether the first word comes from the upper half of the vocabulary.
words = torch.randint(0, 32, (320, 8))
sentences = [{"input_ids": row, "labels": int(row[0] >= 16)} for row in words]
train, validation, test = sentences[:256], sentences[256:288], sentences[288:]

model = BertForSequenceClassification(
    BertConfig(vocab_size=32, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
)


def accuracy(prediction):
    return {"accuracy": float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}


trainer = Trainer(
    model,
    TrainingArguments(
        output_dir=tempfile.mkdtemp(),
        run_name="quickstart",
        num_train_epochs=3,
        learning_rate=3e-3,
        per_device_train_batch_size=16,
        logging_steps=4,
        eval_strategy="epoch",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
    ),
    train_dataset=train,
    eval_dataset=validation,
    compute_metrics=accuracy,
)

# One run: the training, and what is measured after it.
trainer.train()
trainer.predict(test)

# The same trainer in a run of your own, without saying what to record.
with autotrack.start_run("evaluated again", tags={"stage": "example"}) as run:
    trainer.evaluate(test, metric_key_prefix="held_out")
    run.log_metrics({"sentences": len(test)})
