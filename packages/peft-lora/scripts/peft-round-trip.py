"""The Python side of src/peft-round-trip.test.ts: what PEFT makes of our adapters, and adapters of PEFT's for us.

    python peft-round-trip.py FOLDER

FOLDER holds one folder per case, each with `base/` (a model), `ours/` (an adapter we saved) and `input.json`
({"input_ids": [...], "config": {"peft_type": ..., ...}}). Written into it: `theirs/`, an adapter that PEFT made and saved,
and `output.json` with PEFT's logits for both adapters, for theirs merged, for `plain/` where we saved that (PiSSA as plain
LoRA), and what it found wrong with ours.
"""

import json
import sys
import warnings
from pathlib import Path

import torch
from peft import PeftModel, get_peft_config, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText
from transformers.utils import logging

logging.disable_progress_bar()


def logits(model, ids):
    """Of the real tokens only: prompt tuning puts virtual ones before them."""
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0, -len(ids):].flatten().tolist()


def give_up_ranks(model, config):
    """What AdaLoRA's training does: from each module another number of ranks, of one module all."""
    config.rank_pattern = {}
    for i, (name, e) in enumerate((n, p) for n, p in model.named_parameters() if "lora_E" in n):
        kept = [(i + rank) % 3 != 0 and i != 1 for rank in range(config.init_r)]
        config.rank_pattern[name.removeprefix("base_model.model.")] = kept
        e.data[[not one for one in kept]] = 0


for case in sorted(Path(sys.argv[1]).iterdir()):
    given = json.loads((case / "input.json").read_text())
    # Only the eager attention caps Gemma 2's scores.
    whole = hasattr(AutoConfig.from_pretrained(case / "base"), "text_config")
    auto = AutoModelForImageTextToText if whole else AutoModelForCausalLM

    def load_base():
        model = auto.from_pretrained(case / "base", dtype=torch.float32, attn_implementation="eager").eval()
        if given.get("resize"):
            model.resize_token_embeddings(given["resize"])
        return model

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ours = PeftModel.from_pretrained(load_base(), case / "ours").eval()
    problems = [str(w.message) for w in caught if "adapter keys" in str(w.message) or "keyword" in str(w.message)]

    torch.manual_seed(1)
    config = get_peft_config({"task_type": "CAUSAL_LM", **given["config"]})
    theirs = get_peft_model(load_base(), config).eval()
    # As if it had been trained.
    for parameter in theirs.parameters():
        if parameter.requires_grad:
            parameter.data += 0.2 * torch.randn_like(parameter)
    if config.peft_type == "ADALORA":
        give_up_ranks(theirs, config)
    theirs.save_pretrained(case / "theirs")

    output = {"ours": logits(ours, given["input_ids"]), "theirs": logits(theirs, given["input_ids"]), "problems": problems}
    if (case / "plain").exists():
        output["plain"] = logits(PeftModel.from_pretrained(load_base(), case / "plain").eval(), given["input_ids"])
    if not config.is_prompt_learning:
        output["merged"] = logits(theirs.merge_and_unload(), given["input_ids"])
    (case / "output.json").write_text(json.dumps(output))
