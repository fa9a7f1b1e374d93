"""Greedy tokens of transformers in float32, for src/python.test.ts.

    python greedy.py '[{"folder": ..., "prompts": [[...]]}, ...]' COUNT

Prints, per model and prompt, the tokens and the distance between the two best logits before each of them.
"""

import json
import sys

import torch
from transformers import AutoModelForCausalLM

torch.set_num_threads(1)
results = []
for model_and_prompts in json.loads(sys.argv[1]):
    model = AutoModelForCausalLM.from_pretrained(model_and_prompts["folder"], dtype=torch.float32).eval()
    answers = []
    for prompt in model_and_prompts["prompts"]:
        tokens, gaps, cache = [], [], None
        ids = torch.tensor([prompt])
        with torch.no_grad():
            for _ in range(int(sys.argv[2])):
                output = model(ids, past_key_values=cache, use_cache=True)
                cache = output.past_key_values
                best = output.logits[0, -1].topk(2)
                gaps.append(float(best.values[0] - best.values[1]))
                tokens.append(int(best.indices[0]))
                ids = best.indices[:1][None]
        answers.append({"tokens": tokens, "gaps": gaps})
    results.append(answers)
print(json.dumps(results))
