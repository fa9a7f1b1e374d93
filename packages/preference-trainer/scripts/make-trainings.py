"""Makes src/fixtures/trainings.{json,safetensors} and src/fixtures/tokenizer: five trainings of TRL, 30 LoRA steps each.

    python scripts/make-trainings.py    (needs torch, transformers, peft, trl, datasets, tokenizers, safetensors; made with trl 1.13)

The base model is the tiny llama of packages/models/src/fixtures; the tokenizer has a token for each of a few dozen words. In the tensors:
`<run>.initial.<parameter>` and `<run>.final.<parameter>` by PEFT's names without the adapter's.
"""

import json
import random
import tempfile
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer
from trl.experimental.orpo import ORPOConfig, ORPOTrainer

PACKAGE = Path(__file__).parent.parent
FIXTURES = PACKAGE / "src" / "fixtures"
BASE = PACKAGE.parent / "models" / "src" / "fixtures" / "llama"
torch.set_num_threads(1)
pick = random.Random(5)

SPECIALS = ["<unk>", "</s>", "<pad>", "<user>", "<assistant>"]
WORDS = (
    "the patient reports mild severe pain in left right knee arm chest since monday friday and has no fever cough rash was given rest "
    "water ice for two three days should return if it gets worse better soon what is wrong with me please answer briefly history finding "
    "plan summary note visit doctor nurse says asks waits at home work ."
).split()
TEMPLATE = (
    "{% for message in messages %}{{ '<' + message['role'] + '> ' + message['content'] + '</s> ' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant> ' }}{% endif %}"
)


def make_tokenizer():
    vocab = {word: i for i, word in enumerate(SPECIALS + sorted(set(WORDS)))}
    assert len(vocab) <= 96, len(vocab)
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIALS])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", eos_token="</s>", pad_token="<pad>", chat_template=TEMPLATE
    )
    (FIXTURES / "tokenizer").mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(FIXTURES / "tokenizer" / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "<unk>", "eos_token": "</s>", "pad_token": "<pad>",
        "chat_template": TEMPLATE, "clean_up_tokenization_spaces": False,
    }
    (FIXTURES / "tokenizer" / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    return fast


say = lambda low, high: " ".join(pick.choice(WORDS) for _ in range(pick.randint(low, high)))


def text_pairs(n):
    return [{"prompt": say(3, 9) + " ", "chosen": say(2, 10), "rejected": say(2, 10)} for _ in range(n)]


def chat_pairs(n):
    """Both sides begin with the prompt, of one turn or of three."""
    rows = []
    for i in range(n):
        prompt = [{"role": "user", "content": say(3, 6)}]
        if i % 3 == 0:
            prompt += [{"role": "assistant", "content": say(2, 4)}, {"role": "user", "content": say(2, 4)}]
        answer = lambda: prompt + [{"role": "assistant", "content": say(2, 8)}]
        rows.append({"chosen": answer(), "rejected": answer()})
    return rows


def labelled(n):
    return [{"prompt": say(3, 8) + " ", "completion": say(2, 8), "label": pick.random() < 0.6} for _ in range(n)]


COMMON = dict(
    per_device_train_batch_size=4, per_device_eval_batch_size=4, gradient_accumulation_steps=2, max_steps=30, learning_rate=5e-3,
    lr_scheduler_type="linear", warmup_steps=3, weight_decay=0.01, max_grad_norm=1.0, max_length=20, seed=7,
)
RUNS = {
    "sigmoid": dict(trainer=DPOTrainer, config=DPOConfig, rows=text_pairs, args={"loss_type": ["sigmoid"], "beta": 0.1}),
    "ipo": dict(
        trainer=DPOTrainer, config=DPOConfig, rows=chat_pairs, trained=True, args={"loss_type": ["ipo"], "beta": 0.2, "max_length": 28}
    ),
    "sigmoid_sft": dict(
        trainer=DPOTrainer, config=DPOConfig, rows=text_pairs,
        args={"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.3], "beta": 0.1, "precompute_ref_log_probs": True},
    ),
    "orpo": dict(trainer=ORPOTrainer, config=ORPOConfig, rows=text_pairs, args={"beta": 0.2, "max_length": 64}),
    "kto": dict(
        trainer=KTOTrainer, config=KTOConfig, rows=labelled, trained=True,
        args={"beta": 0.2, "desirable_weight": 1.1, "undesirable_weight": 1.2},
    ),
}


def adapted(trained):
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32)
    model.config._name_or_path = "tiny-llama"
    lora = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"], task_type="CAUSAL_LM")
    model = get_peft_model(model, lora)
    if trained:
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.data.normal_(0, 0.1)
    return model


short = lambda name: name.replace(".default", "")
tensors, recording = {}, {}
tokenizer = make_tokenizer()
for name, run in RUNS.items():
    # Only whole batches for ORPO: of an epoch's last window TRL shows no more rows of a batch than the last batch has.
    rows, eval_rows = run["rows"](32 if name == "orpo" else 30), run["rows"](6)
    if name in ("sigmoid", "sigmoid_sft"):
        rows[4]["prompt"] = " ".join(pick.choice(WORDS) for _ in range(24)) + " "
    model = adapted(run.get("trained", False))
    trainables = lambda: {short(key): value.detach().clone() for key, value in get_peft_model_state_dict(model).items() if ".ref." not in key}
    tensors |= {f"{name}.initial.{key}": value for key, value in trainables().items()}
    args = {**COMMON, **run["args"]}
    with tempfile.TemporaryDirectory() as folder:
        config = run["config"](
            output_dir=folder, logging_steps=1, save_strategy="no", report_to="none", use_cpu=True, bf16=False, gradient_checkpointing=False,
            train_sampling_strategy="sequential", optim="adamw_torch", disable_tqdm=True, **args,
        )
        trainer = run["trainer"](
            model=model, args=config, train_dataset=Dataset.from_list(rows), eval_dataset=Dataset.from_list(eval_rows),
            processing_class=tokenizer,
        )
        logs, log = [], trainer.log
        trainer.log = lambda entry, *rest: (log(entry, *rest), logs.append(dict(entry)))
        trainer.train()
        evaluation = trainer.evaluate()
    model = trainer.model
    tensors |= {f"{name}.final.{key}": value for key, value in trainables().items()}
    steps = [entry for entry in logs if "loss" in entry]
    assert len(steps) == 30, len(steps)
    recording[name] = {"args": args, "rows": rows, "eval_rows": eval_rows, "trained": run.get("trained", False), "steps": steps, "eval": evaluation}
    print(name, steps[0]["loss"], steps[-1]["loss"])

save_file({key: value.contiguous() for key, value in tensors.items()}, FIXTURES / "trainings.safetensors")
(FIXTURES / "trainings.json").write_text(json.dumps(recording) + "\n")
