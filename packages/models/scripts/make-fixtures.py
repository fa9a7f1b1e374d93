"""Makes src/fixtures: tiny random models of each family and rope type, with the logits, greedy tokens and gradients of transformers.

python scripts/make-fixtures.py [FAMILY...]    (needs torch, transformers and safetensors; made with transformers 5.18)
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

OUT = Path(__file__).parent.parent / "src" / "fixtures"
torch.set_num_threads(1)

SIZES = dict(
    vocab_size=64, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=128, bos_token_id=0, eos_token_id=1, pad_token_id=2,
)
LENGTHS = (5, 20, 45)
EMBEDDINGS = ("embed", "wte", "wpe")


def make(config, seed):
    torch.manual_seed(seed)
    auto = AutoModelForImageTextToText if hasattr(config, "text_config") else AutoModelForCausalLM
    model = auto.from_config(config, attn_implementation="eager").eval().float()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or ".ln_" in name:
                parameter.add_(0.1 * torch.randn_like(parameter))
            else:
                parameter.normal_(0, 1.0 if any(part in name for part in EMBEDDINGS) else 0.2)
            parameter.copy_(parameter.to(torch.bfloat16))
    return model


def prompts(seed, vocab_size):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(3, vocab_size, (1, n), generator=generator) for n in LENGTHS]


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
        for i, ids in enumerate(prompts(seed, model.config.get_text_config().vocab_size)):
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
    if any(".experts." in k for k in weights):
        # Experts one by one, as checkpoints have them.
        model.to(torch.bfloat16).save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        return
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def gradients(model, ids):
    """The gradient of the mean loss by every parameter, in float32."""
    model.zero_grad()
    with torch.enable_grad():
        model(ids, labels=ids, use_cache=False).loss.backward()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}


# Goldens of generation and of adapters are made of these models too.
LARGER = dict(vocab_size=96, hidden_size=32, intermediate_size=48)
ONE_OF_EACH = {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]}
THETAS = {"full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e6}, "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}
YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 16}
FAMILIES = {
    "llama": dict(**LARGER, attention_bias=True, mlp_bias=True, head_dim=16),
    "mistral": dict(sliding_window=8),
    "qwen2": dict(**LARGER, tie_word_embeddings=True),
    "qwen3": dict(head_dim=16, use_sliding_window=True, sliding_window=8, max_window_layers=1),
    "gemma": dict(head_dim=8),
    "gemma2": dict(head_dim=16, sliding_window=8, query_pre_attn_scalar=24, attn_logit_softcapping=6.0, final_logit_softcapping=4.0),
    "gemma3_text": dict(head_dim=8, query_pre_attn_scalar=12, rope_parameters=THETAS, **ONE_OF_EACH),
    "phi3": dict(sliding_window=12, partial_rotary_factor=0.67),
    "smollm3": dict(no_rope_layers=[1, 0], layer_types=["full_attention"] * 2),
    "olmo2": dict(),
    "olmo3": dict(rope_parameters={**THETAS, "full_attention": {**YARN, "attention_factor": 1.1}}, **ONE_OF_EACH),
    "granite": dict(embedding_multiplier=6.0, attention_multiplier=0.3, residual_multiplier=0.4, logits_scaling=3.0),
    "ministral3": dict(head_dim=8, rope_parameters={**YARN, "mscale": 1.0, "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.3}),
    "cohere2": dict(logit_scale=0.25, **ONE_OF_EACH),
    "starcoder2": dict(sliding_window=8),
    "gpt2": dict(n_embd=24, n_inner=40, n_layer=2, n_head=4, n_positions=128, attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0),
    "gpt_neox": dict(rope_parameters={"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.34}),
    "qwen3_moe": dict(head_dim=8, num_experts=6, num_experts_per_tok=2, moe_intermediate_size=16, mlp_only_layers=[0], norm_topk_prob=True),
    "mixtral": dict(sliding_window=8, num_local_experts=4, num_experts_per_tok=2, intermediate_size=16),
}
# Phi-3.5 and Phi-4-mini: the first prompts are short for it, the last one is long.
LONGROPE = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0, 1.3, 1.5], "long_factor": [1.5, 2.5, 4.0], "original_max_position_embeddings": 32}
FAMILIES["phi3-longrope"] = dict(rope_parameters=LONGROPE, original_max_position_embeddings=32, tie_word_embeddings=True)


def family_config(family, extra):
    sizes = SIZES if family != "gpt2" else {k: SIZES[k] for k in ("vocab_size", "bos_token_id", "eos_token_id", "pad_token_id")}
    return AutoConfig.for_model(family.split("-")[0], **{**sizes, **extra})


for family, extra in FAMILIES.items():
    if len(sys.argv) > 1 and family not in sys.argv[1:]:
        continue
    # The answers of a model whose rotary positions change on the way are computed without a cache too.
    model, tensors = expected(lambda seed: make(family_config(family, extra), seed))
    grads = gradients(model, tensors["input_ids.1"][None])
    # Last: a model that was in bfloat16 for saving has rounded rotary frequencies.
    save_model(model, OUT / family)
    save_file(tensors, OUT / family / "expected.safetensors")
    save_file(grads, OUT / family / "grads.safetensors")
    print(family)
# Models of more than text, as save_pretrained writes them.
VISION = dict(hidden_size=8, intermediate_size=12, num_hidden_layers=1, num_attention_heads=2, image_size=8, patch_size=4)
WHOLES = {
    "gemma3": dict(text_config={**SIZES, **FAMILIES["gemma3_text"]}, vision_config=VISION, mm_tokens_per_image=4),
    "mistral3": dict(
        text_config={**SIZES, **FAMILIES["ministral3"], "model_type": "ministral3"},
        vision_config={**VISION, "model_type": "pixtral", "head_dim": 4}, tie_word_embeddings=False, image_token_index=3,
    ),
}
for family, extra in WHOLES.items():
    if len(sys.argv) > 1 and family not in sys.argv[1:]:
        continue
    model, tensors = expected(lambda seed: make(AutoConfig.for_model(family, **extra), seed))
    model.to(torch.bfloat16).save_pretrained(OUT / family)
    (OUT / family / "generation_config.json").unlink(missing_ok=True)
    save_file(tensors, OUT / family / "expected.safetensors")
    print(family)
if len(sys.argv) > 1:
    raise SystemExit

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
