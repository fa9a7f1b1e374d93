"""The Python side of src/peft-round-trip.test.ts: what PEFT makes of our adapters, and adapters of PEFT's for us.

    python peft-round-trip.py FOLDER

FOLDER holds one folder per case, each with `base/` (a model), `ours/` (an adapter we saved) and `input.json`
({"input_ids": [...], "lora": {...}}). Written into it: `theirs/`, an adapter that PEFT made and saved, and
`output.json` with PEFT's logits for both adapters and the keys it reported as missing or unexpected.
"""

import json
import sys
import warnings
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM


def logits(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].flatten().tolist()


for case in sorted(Path(sys.argv[1]).iterdir()):
    given = json.loads((case / "input.json").read_text())
    load_base = lambda: AutoModelForCausalLM.from_pretrained(case / "base", dtype=torch.float32).eval()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ours = PeftModel.from_pretrained(load_base(), case / "ours").eval()
    problems = [str(w.message) for w in caught if "adapter keys" in str(w.message)]

    torch.manual_seed(1)
    theirs = get_peft_model(load_base(), LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False, **given["lora"])).eval()
    theirs.save_pretrained(case / "theirs")

    output = {"ours": logits(ours, given["input_ids"]), "theirs": logits(theirs, given["input_ids"]), "problems": problems}
    (case / "output.json").write_text(json.dumps(output))
