"""Makes src/fixtures/config.golden.json: what transformers makes of configurations, of files with keys left out and of rotary parameters.

python scripts/make-config-goldens.py    (needs torch, transformers and safetensors; made with transformers 5.18)
"""

import json
import warnings
from pathlib import Path

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

warnings.simplefilter("ignore")
transformers.logging.set_verbosity_error()
torch.set_num_threads(1)
FIXTURES = Path(__file__).parent.parent / "src" / "fixtures"
FAMILIES = ["llama", "mistral", "ministral3", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi3", "smollm3", "olmo2", "olmo3", "granite", "cohere2", "starcoder2", "gpt2", "gpt_neox", "qwen3_moe", "mixtral"]


def plain(config):
    return {k: v for k, v in json.loads(config.to_json_string(use_diff=False)).items() if not k.startswith("_")}


def parsed(raw):
    """A config.json as transformers reads it."""
    raw = json.loads(json.dumps(raw))
    return AutoConfig.for_model(raw.pop("model_type"), **raw)


@torch.no_grad()
def logits_without(family, removed):
    """Logits after a prompt, of the family's tiny model with keys of its config.json left out."""
    folder = FIXTURES / family
    raw = json.loads((folder / "config.json").read_text())
    for key in removed:
        del raw[key]
    config = parsed(raw)
    config.dtype = torch.float32
    model = AutoModelForCausalLM.from_pretrained(folder, config=config, attn_implementation="eager", dtype=torch.float32).eval()
    ids = [(7 * i * i + 3) % 64 for i in range(24)]
    return {"removed": removed, "inputIds": ids, "logits": model(torch.tensor([ids]), use_cache=False).logits[0, -1].tolist()}


LEFT_OUT = {
    "llama": ["max_position_embeddings", "rms_norm_eps", "rope_parameters", "hidden_act", "tie_word_embeddings", "bos_token_id", "eos_token_id"],
    "mistral": ["sliding_window", "max_position_embeddings", "rope_parameters", "hidden_act", "head_dim"],
    "qwen2": ["layer_types", "max_position_embeddings", "rope_parameters", "use_sliding_window", "max_window_layers"],
    "qwen3": ["layer_types", "use_sliding_window", "sliding_window"],
    "gemma2": ["query_pre_attn_scalar", "sliding_window", "attn_logit_softcapping", "final_logit_softcapping", "hidden_activation", "layer_types", "tie_word_embeddings"],
    "phi3": ["sliding_window", "rms_norm_eps", "max_position_embeddings", "original_max_position_embeddings"],
    "olmo2": ["rms_norm_eps", "rope_parameters"],
    "olmo3": ["rope_parameters", "layer_types"],
    "ministral3": ["rms_norm_eps", "sliding_window"],
    "gemma": ["hidden_act", "tie_word_embeddings", "rope_parameters"],
    "gemma3_text": ["layer_types", "sliding_window", "rope_parameters", "hidden_activation"],
    "smollm3": ["no_rope_layers", "layer_types", "rope_parameters", "tie_word_embeddings"],
    "granite": ["attention_multiplier", "embedding_multiplier", "residual_multiplier", "logits_scaling"],
    "cohere2": ["layer_types", "logit_scale", "layer_norm_eps", "sliding_window"],
    "starcoder2": ["use_bias", "norm_epsilon", "hidden_act", "sliding_window"],
    "qwen3_moe": ["norm_topk_prob", "decoder_sparse_step"],
    "mixtral": ["sliding_window", "rope_parameters", "num_experts_per_tok"],
    "gpt2": ["activation_function", "layer_norm_epsilon", "scale_attn_weights"],
    "gpt_neox": ["hidden_act", "layer_norm_eps", "use_parallel_residual", "attention_bias"],
}
# A key that the tiny model's file does not have, as its value is null, cannot be left out.
LEFT_OUT = {f: [k for k in keys if k in json.loads((FIXTURES / f / "config.json").read_text())] for f, keys in LEFT_OUT.items()}

YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
ROPES = {
    "default": {},
    "theta beside": {"rope_theta": 500000.0},
    "theta inside wins": {"rope_theta": 500.0, "rope_parameters": {"rope_type": "default", "rope_theta": 7000.0}},
    "linear, old key": {"rope_scaling": {"type": "linear", "factor": 2.5}},
    "rope_scaling wins over rope_parameters": {"rope_scaling": {"rope_type": "linear", "factor": 3.0}, "rope_parameters": {"rope_type": "default", "rope_theta": 50000.0}},
    "an empty rope_scaling does not": {"rope_scaling": {}, "rope_parameters": {"rope_type": "linear", "factor": 3.0, "rope_theta": 50000.0}},
    "yarn": {"rope_scaling": YARN},
    "yarn, truncate false": {"rope_scaling": {**YARN, "truncate": False}},
    "yarn, truncate true": {"rope_scaling": {**YARN, "truncate": True}},
    "yarn, betas": {"rope_scaling": {**YARN, "beta_fast": 16, "beta_slow": 2, "truncate": False}},
    "yarn, attention factor": {"rope_scaling": {**YARN, "attention_factor": 0.75}},
    "yarn, mscale": {"rope_scaling": {**YARN, "mscale": 0.8, "mscale_all_dim": 0.4}},
    "yarn, mscale alone": {"rope_scaling": {**YARN, "mscale": 0.8}},
    "yarn, factor null": {"rope_scaling": {**YARN, "factor": None}},
    "yarn, original length beside": {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}, "original_max_position_embeddings": 16},
    "yarn, original length in both places": {"rope_scaling": YARN, "original_max_position_embeddings": 64},
    "yarn, original length nowhere": {"rope_scaling": {"rope_type": "yarn", "factor": 2.0}},
    "llama3": {"rope_scaling": {**LLAMA3, "original_max_position_embeddings": 32}},
    "llama3, original length beside": {"rope_scaling": LLAMA3, "original_max_position_embeddings": 24},
    "llama3, original length in both places": {"rope_scaling": {**LLAMA3, "original_max_position_embeddings": 32}, "original_max_position_embeddings": 48},
    "dynamic": {"rope_scaling": {"type": "dynamic", "factor": 2.0}},
    "dynamic, original length counts for nothing": {"rope_scaling": {"type": "dynamic", "factor": 2.0, "original_max_position_embeddings": 64}},
}
# Phi-3's file has the original length beside the parameters.
LONGROPE = {"rope_type": "longrope", "short_factor": [1.0 + i / 16 for i in range(16)], "long_factor": [1.0 + i for i in range(16)]}
ROPES |= {
    "longrope": {"rope_scaling": {**LONGROPE, "original_max_position_embeddings": 32}},
    "longrope, original length beside": {"rope_scaling": LONGROPE, "original_max_position_embeddings": 64},
    "longrope, factor": {"rope_scaling": {**LONGROPE, "factor": 8.0, "original_max_position_embeddings": 64}},
    "longrope, attention factor": {"rope_scaling": {**LONGROPE, "attention_factor": 1.3, "original_max_position_embeddings": 64}},
    "proportional": {"rope_scaling": {"rope_type": "proportional", "partial_rotary_factor": 0.25}},
    "proportional, factor": {"rope_scaling": {"rope_type": "proportional", "partial_rotary_factor": 0.5, "factor": 4.0}},
}
SIZES = {"model_type": "llama", "hidden_size": 128, "num_attention_heads": 4, "max_position_embeddings": 128}


def rope(extra):
    config = parsed({**SIZES, **extra})
    module = LlamaRotaryEmbedding(config)
    module(torch.zeros(1), torch.arange(300)[None])
    return {"config": {**SIZES, **extra}, "frequencies": module.inv_freq.tolist(), "attentionFactor": module.attention_scaling}


golden = {
    "transformers": transformers.__version__,
    "defaults": {family: plain(AutoConfig.for_model(family)) for family in FAMILIES},
    "leftOut": {family: logits_without(family, removed) for family, removed in LEFT_OUT.items()},
    "ropes": {name: rope(extra) for name, extra in ROPES.items()},
}
(FIXTURES / "config.golden.json").write_text(json.dumps(golden) + "\n")
