"""TRL's side of preference.mjs: the same shape with random weights, in float32 or in bf16; one process per type."""

import os
import shutil
import tempfile
import time

os.environ.update(TQDM_DISABLE="1", HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")

import torch
from datasets import Dataset, disable_progress_bars
from peft import LoraConfig
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, TrainerCallback
from trl import DPOConfig, DPOTrainer
from worker import serve

disable_progress_bars()
DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}
# The first is four pairs at once, the second one by one.
BATCHES = {"four at once": (4, 1), "one by one": (1, 4)}
state = {"ways": {}}


def prepare(message):
    torch.manual_seed(0)
    torch.set_num_threads(message["threads"])
    config = LlamaConfig(**{k: v for k, v in message["config"].items() if k != "model_type"}, use_cache=False)
    with torch.device("meta"):
        model = LlamaForCausalLM(config).to(DTYPES[message["format"]])
    model = model.to_empty(device="cpu")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.fill_(1.0) if "norm" in name else parameter.normal_(0, 0.02)
    # to_empty leaves the rotary tables unset
    model.model.rotary_emb = type(model.model.rotary_emb)(config)
    count = message["words"]
    vocabulary = {**{f"w{i}": i for i in range(count)}, "</s>": count}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="</s>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    state.update(message, model=model)
    state["tokenizer"] = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", pad_token="</s>")


class Clock(TrainerCallback):
    def __init__(self):
        self.ends = []

    def on_step_end(self, *_, **__):
        self.ends.append(time.perf_counter())


def run(method, batch):
    size, accumulation = BATCHES[batch]
    folder = tempfile.mkdtemp()
    clock = Clock()
    start = time.perf_counter()
    trainer = DPOTrainer(
        model=state["model"],
        processing_class=state["tokenizer"],
        train_dataset=Dataset.from_list(state["rows"]),
        peft_config=LoraConfig(r=16, lora_alpha=32, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"),
        args=DPOConfig(
            output_dir=folder,
            learning_rate=1e-5,
            per_device_train_batch_size=size,
            gradient_accumulation_steps=accumulation,
            max_steps=state["steps"],
            precompute_ref_log_probs=method == "precomputed",
            gradient_checkpointing=False,
            bf16=False,
            use_cpu=True,
            train_sampling_strategy="sequential",
            save_strategy="no",
            report_to="none",
            logging_steps=1,
        ),
        callbacks=[clock],
    )
    trainer.train()
    seconds = time.perf_counter() - start
    losses = [log["loss"] for log in trainer.state.log_history if "loss" in log]
    state["model"] = trainer.model.unload()
    shutil.rmtree(folder)
    return {"seconds": seconds, "step": (clock.ends[-1] - clock.ends[0]) / (len(clock.ends) - 1), "losses": losses}


def train(message):
    method = message["method"]
    if method not in state["ways"]:
        tried = {batch: run(method, batch) for batch in BATCHES}
        state["ways"][method] = min(tried, key=lambda batch: tried[batch]["seconds"])
    batch = state["ways"][method]
    where = "before" if method == "precomputed" else "in the step"
    return {**run(method, batch), "way": f"{batch}, references {where}"}


serve({"prepare": prepare, "train": train})
