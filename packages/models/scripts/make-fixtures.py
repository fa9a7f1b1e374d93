"""Makes src/fixtures: tiny random models of each family and rope type, with the logits and greedy tokens of transformers.

python scripts/make-fixtures.py    (needs torch, transformers and safetensors; made with transformers 5.18)
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoConfig

OUT = Path(__file__).parent.parent / "src" / "fixtures"
torch.set_num_threads(1)

SIZES = dict(
    vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=128, bos_token_id=0, eos_token_id=1, pad_token_id=2,
)
LENGTHS = (5, 20, 45)


def make(config, seed):
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.add_(0.1 * torch.randn_like(parameter))
            else:
                parameter.normal_(0, 1.0 if "embed" in name else 0.2)
            parameter.copy_(parameter.to(torch.bfloat16))
    return model


def prompts(seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(3, SIZES["vocab_size"], (1, n), generator=generator) for n in LENGTHS]


@torch.no_grad()
def greedy(model, ids, count=64):
    """64 tokens without a cache, and the smallest distance between the two best logits on the way."""
    tokens, gap = ids, float("inf")
    for _ in range(count):
        best = model(tokens, use_cache=False).logits[0, -1].topk(2)
        gap = min(gap, float(best.values[0] - best.values[1]))
        tokens = torch.cat([tokens, best.indices[:1][None]], 1)
    return tokens[0, ids.shape[1]:], gap


@torch.no_grad()
def expected(make_model, prefix="", with_greedy=True):
    for seed in range(1, 20):
        model = make_model(seed)
        tensors, smallest = {}, float("inf")
        for i, ids in enumerate(prompts(seed)):
            tensors[f"{prefix}input_ids.{i}"] = ids[0].clone()
            tensors[f"{prefix}logits.{i}"] = model(ids, use_cache=False).logits[0].contiguous()
            if with_greedy:
                tokens, gap = greedy(model, ids)
                tensors[f"{prefix}greedy.{i}"] = tokens.clone()
                smallest = min(smallest, gap)
        # A near tie would make the greedy tokens a matter of rounding.
        if smallest > 5e-4:
            return model, tensors
    raise SystemExit("no seed without near ties")


def save_model(model, folder):
    folder.mkdir(parents=True, exist_ok=True)
    config = {k: v for k, v in model.config.to_dict().items() if v is not None and k not in ("_name_or_path", "id2label", "label2id")}
    config["dtype"] = "bfloat16"
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    tied = model.config.tie_word_embeddings
    weights = {k: v.to(torch.bfloat16).contiguous() for k, v in model.state_dict().items() if not (tied and k == "lm_head.weight")}
    weights = {k: v for k, v in weights.items() if not k.endswith("embed_scale")}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


FAMILIES = {
    "llama": dict(attention_bias=True, mlp_bias=True, head_dim=16),
    "mistral": dict(sliding_window=8),
    "qwen2": dict(tie_word_embeddings=True),
    "qwen3": dict(head_dim=16, use_sliding_window=True, sliding_window=8, max_window_layers=1),
    "gemma2": dict(head_dim=16, sliding_window=8, query_pre_attn_scalar=24, attn_logit_softcapping=6.0, final_logit_softcapping=4.0),
    "phi3": dict(sliding_window=12, partial_rotary_factor=0.5),
    # Of the guide "add an architecture".
    "olmo2": dict(),
}
for family, extra in FAMILIES.items():
    model, tensors = expected(lambda seed: make(AutoConfig.for_model(family, **SIZES, **extra), seed))
    save_model(model, OUT / family)
    save_file(tensors, OUT / family / "expected.safetensors")

ROPES = {
    "linear": dict(rope_type="linear", factor=3.0),
    "dynamic": dict(rope_type="dynamic", factor=2.0),
    "llama3": dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16),
    "yarn": dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=16),
}
all_tensors, configs = {}, {}
for kind, rope in ROPES.items():
    sizes = {**SIZES, "max_position_embeddings": 16 if kind == "dynamic" else 128}
    config = AutoConfig.for_model("llama", **sizes, head_dim=16, rope_parameters={"rope_theta": 10000.0, **rope})
    # The same weights for every kind.
    model = make(config, 7)
    _, tensors = expected(lambda seed: model, f"{kind}.", with_greedy=False)
    configs[kind] = {"max_position_embeddings": sizes["max_position_embeddings"], "rope_parameters": rope}
    all_tensors |= tensors
save_model(model, OUT / "rope")
save_file(all_tensors, OUT / "rope" / "expected.safetensors")
(OUT / "rope" / "kinds.json").write_text(json.dumps(configs, indent=2) + "\n")
