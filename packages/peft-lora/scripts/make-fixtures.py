"""Makes src/fixtures/parameter-counts.json and src/fixtures/weighted.json with Python's PEFT.

    python make-fixtures.py

Counts: models on the meta device, so that no weight exists. Weighted adapters: a model of one linear layer.
"""

import json
import warnings
from pathlib import Path

import peft
import torch
import transformers
from peft import get_peft_config, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

warnings.simplefilter("ignore")
FIXTURES = Path(__file__).parent.parent / "src" / "fixtures"
made_with = {"peft": peft.__version__, "transformers": transformers.__version__, "torch": torch.__version__}


def shape(model_type, vocab, hidden, intermediate, layers, heads, kv_heads, **more):
    return {
        "model_type": model_type,
        "vocab_size": vocab,
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        **more,
    }


SHAPES = {
    "TinyLlama-1.1B": shape("llama", 32000, 2048, 5632, 22, 32, 4),
    "Llama-3.1-8B": shape("llama", 128256, 4096, 14336, 32, 32, 8),
    "Llama-3.2-1B": shape("llama", 128256, 2048, 8192, 16, 32, 8, tie_word_embeddings=True, head_dim=64),
    "Mistral-7B": shape("mistral", 32000, 4096, 14336, 32, 32, 8),
    "Qwen2.5-0.5B": shape("qwen2", 151936, 896, 4864, 24, 14, 2, tie_word_embeddings=True),
    "Qwen3-0.6B": shape("qwen3", 151936, 1024, 3072, 28, 16, 8, tie_word_embeddings=True, head_dim=128),
    "gemma-2-2b": shape("gemma2", 256000, 2304, 9216, 26, 8, 4, head_dim=256, tie_word_embeddings=True),
    "Phi-3-mini": shape("phi3", 32064, 3072, 8192, 32, 32, 32, pad_token_id=0),
    "small": shape("llama", 512, 64, 176, 3, 4, 2),
}
SEVEN = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LORA = {"peft_type": "LORA"}
CASES = [
    ("TinyLlama-1.1B", {**LORA, "r": 16}),
    ("TinyLlama-1.1B", {**LORA, "r": 8, "target_modules": "all-linear"}),
    ("TinyLlama-1.1B", {**LORA, "r": 4, "target_modules": SEVEN, "use_dora": True}),
    ("TinyLlama-1.1B", {**LORA, "r": 8, "target_modules": r".*\.(1|2)\.mlp\.(up|gate)_proj"}),
    ("TinyLlama-1.1B", {**LORA, "r": 8, "target_modules": ["q_proj"], "layers_to_transform": [0, 5, 21]}),
    ("TinyLlama-1.1B", {**LORA, "r": 8, "target_modules": SEVEN, "exclude_modules": ["down_proj"]}),
    ("TinyLlama-1.1B", {**LORA, "r": 8, "rank_pattern": {"q_proj": 32, "layers.3.self_attn.v_proj": 2}}),
    ("TinyLlama-1.1B", {**LORA, "r": 2, "modules_to_save": ["lm_head"]}),
    ("TinyLlama-1.1B", {**LORA, "r": 2, "target_modules": ["embed_tokens", "lm_head"]}),
    ("TinyLlama-1.1B", {**LORA, "r": 2, "trainable_token_indices": [5, 6, 7]}),
    ("TinyLlama-1.1B", {**LORA, "r": 2, "modules_to_save": ["input_layernorm", "norm"]}),
    ("Llama-3.1-8B", {**LORA, "r": 16, "target_modules": SEVEN}),
    ("Llama-3.1-8B", {**LORA, "r": 8}),
    ("Llama-3.2-1B", {**LORA, "r": 8, "target_modules": "all-linear"}),
    ("Llama-3.2-1B", {**LORA, "r": 2, "trainable_token_indices": [1, 2]}),
    ("Mistral-7B", {**LORA, "r": 4}),
    ("Mistral-7B", {**LORA, "r": 2, "target_modules": "all-linear", "use_rslora": True}),
    ("Qwen2.5-0.5B", {**LORA, "r": 8, "bias": "all"}),
    ("Qwen2.5-0.5B", {**LORA, "r": 8, "bias": "lora_only"}),
    ("Qwen2.5-0.5B", {**LORA, "r": 8, "target_modules": "all-linear"}),
    ("Qwen3-0.6B", {**LORA, "r": 8, "target_modules": "all-linear"}),
    ("Qwen3-0.6B", {**LORA, "r": 8}),
    ("gemma-2-2b", {**LORA, "r": 8}),
    ("gemma-2-2b", {**LORA, "r": 4, "target_modules": "all-linear"}),
    ("Phi-3-mini", {**LORA, "r": 8, "target_modules": ["qkv_proj"]}),
    ("Phi-3-mini", {**LORA, "r": 4, "target_modules": "all-linear"}),
    ("TinyLlama-1.1B", {"peft_type": "IA3"}),
    ("Qwen2.5-0.5B", {"peft_type": "IA3"}),
    ("TinyLlama-1.1B", {"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 20}),
    ("TinyLlama-1.1B", {"peft_type": "PREFIX_TUNING", "num_virtual_tokens": 20}),
    ("small", {"peft_type": "PREFIX_TUNING", "num_virtual_tokens": 4, "prefix_projection": True, "encoder_hidden_size": 32}),
    ("TinyLlama-1.1B", {"peft_type": "ADALORA", "init_r": 12, "target_r": 8, "total_step": 100}),
    ("TinyLlama-1.1B", {"peft_type": "VERA", "r": 64, "target_modules": ["q_proj", "o_proj"]}),
]


def count(name, config):
    shape = dict(SHAPES[name])
    model_config = AutoConfig.for_model(shape.pop("model_type"), **shape)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(model_config)
        model = get_peft_model(model, get_peft_config({"task_type": "CAUSAL_LM", **config}))
    trainable, total = model.get_nb_trainable_parameters()
    return {"shape": name, "config": config, "trainable": trainable, "all": total}


class OneLinear(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = torch.nn.Linear(6, 5, bias=False)

    def forward(self, x):
        return self.lin(x)


def weighted():
    torch.manual_seed(0)
    model = get_peft_model(OneLinear(), peft.LoraConfig(r=2, lora_alpha=3, target_modules=["lin"]), adapter_name="one")
    model.add_adapter("two", peft.LoraConfig(r=2, lora_alpha=8, target_modules=["lin"], use_rslora=True))
    model.add_adapter("three", peft.LoraConfig(r=3, lora_alpha=3, target_modules=["lin"]))
    lin = model.base_model.model.lin
    inputs = {}
    for name in ["one", "two", "three"]:
        for part, module in [("a", lin.lora_A[name]), ("b", lin.lora_B[name])]:
            module.weight.data = torch.randn_like(module.weight)
            inputs.setdefault(name, {"scaling": lin.scaling[name]})[part] = module.weight.flatten().tolist()

    # DARE draws with torch.bernoulli: every draw is written down in order.
    draws, bernoulli = [], torch.bernoulli
    torch.bernoulli = lambda p: draws.append(bernoulli(p)) or draws[-1]
    results = []
    for kind in ["linear", "cat", "svd", "ties", "dare_linear", "dare_ties", "magnitude_prune",
                 "ties_svd", "dare_linear_svd", "dare_ties_svd", "magnitude_prune_svd"]:
        for names, weights, density, sign in [
            (["one", "two"], [0.7, 0.4], 0.5, "total"),
            (["one", "two"], [1.0, -0.5], 0.6, "frequency"),
            (["one", "three"], [0.5, 0.5], 0.5, "total"),
        ]:
            if "three" in names and kind not in ("cat", "svd"):
                continue
            draws.clear()
            new = f"{kind}{len(results)}"
            # use_rslora of the first adapter is inherited; the first one here does not use it.
            model.add_weighted_adapter(names, weights, new, combination_type=kind, density=density, majority_sign_method=sign)
            update = lin.get_delta_weight(new)
            results.append({
                "combinationType": kind, "adapters": names, "weights": weights, "density": density, "majoritySignMethod": sign,
                "keep": [draw.flatten().int().tolist() for draw in draws],
                "r": lin.r[new], "scaling": lin.scaling[new],
                "a": None if "svd" in kind else lin.lora_A[new].weight.flatten().tolist(),
                "b": None if "svd" in kind else lin.lora_B[new].weight.flatten().tolist(),
                "update": update.flatten().tolist(),
            })
    torch.bernoulli = bernoulli
    return {"in": 6, "out": 5, "inputs": inputs, "results": results}


def write(name, content):
    (FIXTURES / name).write_text(json.dumps({"made_with": made_with, **content}) + "\n")


FIXTURES.mkdir(exist_ok=True)
write("weighted.json", weighted())
write("parameter-counts.json", {"shapes": SHAPES, "cases": [count(*case) for case in CASES]})
