"""TRL's trainers are trainers of transformers; proven with supervised fine-tuning, alone and with a PEFT adapter."""

import json
import os
import sys
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("trl")
pytest.importorskip("peft")
pytest.importorskip("datasets")
sys.path.insert(0, str(Path(__file__).parent))

import datasets
import peft
import torch
import trl
from safetensors.torch import load
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers_trainings import described, history, model, trainer

from autotrack.testing import recording

WORDS = ["the", "cat", "dog", "sat", "ran", "on", "under", "mat", "tree"]


def tokenizer():
    vocabulary = {word: index for index, word in enumerate(["<pad>", "<unk>", "<eos>", *WORDS])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", unk_token="<unk>", eos_token="<eos>", model_max_length=32
    )


def sentences(count):
    return datasets.Dataset.from_list([{"text": " ".join(WORDS[i % 5 : i % 5 + 4])} for i in range(count)])


def fine_tuning(folder, *, lora=None, **given):
    torch.manual_seed(0)
    if lora is None:
        made = GPT2LMHeadModel(GPT2Config(vocab_size=12, n_positions=32, n_embd=16, n_layer=1, n_head=2))
    else:
        config = LlamaConfig(
            vocab_size=12, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
        )
        made = LlamaForCausalLM(config)
    args = trl.SFTConfig(
        output_dir=str(folder / "out"),
        use_cpu=True,
        bf16=False,
        disable_tqdm=True,
        report_to="none",
        max_length=16,
        max_steps=4,
        logging_steps=1,
        eval_strategy="steps",
        eval_steps=2,
        per_device_train_batch_size=2,
        **{"save_strategy": "no", **given},
    )
    return trl.SFTTrainer(
        model=made,
        args=args,
        train_dataset=sentences(8),
        eval_dataset=sentences(4),
        processing_class=tokenizer(),
        peft_config=lora,
    )


@pytest.fixture
def recorded(tmp_path):
    with recording(tmp_path / "home", "transformers") as recorded:
        yield recorded


def test_supervised_fine_tuning_is_one_run(recorded, tmp_path) -> None:
    own = fine_tuning(tmp_path)
    own.train()
    (run,) = recorded.runs()
    assert (run.name, run.integration, run.status, run.ends) == ("SFTTrainer", "transformers", "finished", 1)
    assert run.metrics == history(own)
    assert {"mean_token_accuracy", "entropy", "eval_mean_token_accuracy"} <= run.metrics.keys()
    assert (run.params["max_length"], run.params["max_steps"]) == (16, 4)
    assert "packing" not in run.params
    assert (run.params["model.class"], run.params["model.hidden_size"]) == ("GPT2LMHeadModel", 16)
    assert [(it.role, it.record["kind"], it.record["n_rows"]) for it in described(run)] == [
        ("train", "datasets.Dataset", 8),
        ("validation", "datasets.Dataset", 4),
    ]
    arguments = json.loads(recorded.content(run.artifacts["training_args.json"]))
    assert arguments["packing"] is False and arguments["max_length"] == 16
    assert [it.name for it in run.models] == ["model"]


def test_of_a_peft_model_the_adapter_is_kept_with_its_configuration(recorded, tmp_path, recwarn) -> None:
    lora = peft.LoraConfig(r=3, lora_alpha=6, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    own = fine_tuning(tmp_path, lora=lora)
    own.train()
    assert not any("config file" in str(warning.message) for warning in recwarn.list)
    (run,) = recorded.runs()
    assert run.metrics == history(own)
    assert (run.params["model.class"], run.params["model.type"]) == ("LlamaForCausalLM", "llama")
    assert (run.params["peft.default.peft_type"], run.params["peft.default.r"]) == ("LORA", 3)
    assert run.params["peft.default.target_modules"] == "['q_proj', 'v_proj']"
    assert "peft.default.bias" not in run.params
    trainable, every = own.model.get_nb_trainable_parameters()
    assert (run.params["model.trainable_parameters"], run.params["model.parameters"]) == (trainable, every)
    kept = json.loads(recorded.content(run.artifacts["peft_config.json"]))
    assert (kept["default"]["r"], kept["default"]["target_modules"]) == (3, ["q_proj", "v_proj"])
    (model,) = run.models
    adapter = peft.get_peft_model_state_dict(own.model)
    stored = load(recorded.content(model))
    assert stored.keys() == adapter.keys() and all("lora_" in name for name in stored)
    assert all(torch.equal(stored[name], adapter[name]) for name in stored)


def test_the_best_adapter_comes_from_its_checkpoint(tmp_path) -> None:
    lora = peft.LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
    with recording(tmp_path / "home", "transformers", models="best") as recorded:
        given = {"save_strategy": "steps", "save_steps": 2, "metric_for_best_model": "loss"}
        own = fine_tuning(tmp_path, lora=lora, **given)
        own.train()
    (run,) = recorded.runs()
    (best,) = run.models
    assert (best.name, best.step) == ("best", own.state.best_global_step)
    assert all("lora_" in name for name in load(recorded.content(best)))


def test_an_adapter_of_transformers_itself(recorded, tmp_path) -> None:
    adapted = model()
    try:
        adapted.add_adapter(peft.LoraConfig(r=2, target_modules=["query"]), "mine")
    except ValueError as problem:  # each transformers wants a PEFT of its time
        pytest.skip(str(problem))
    trainer(tmp_path, model=adapted, max_steps=2).train()
    (run,) = recorded.runs()
    assert run.params["peft.mine.r"] == 2
    stored = load(recorded.content(run.models[0]))
    assert stored and all("lora_" in name for name in stored)
