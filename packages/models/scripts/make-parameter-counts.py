"""Makes src/fixtures/published.json: sizes of one published model of each family, and how many parameters transformers gives it.

python scripts/make-parameter-counts.py    (needs torch and transformers; made with transformers 5.18)

The sizes are those of the models' config.json on the Hub; models are made on the meta device, so that no weight exists.
"""

import json
from pathlib import Path

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

transformers.logging.set_verbosity_error()


def sizes(model_type, vocab, hidden, intermediate, layers, heads, kv_heads, **more):
    return dict(model_type=model_type, vocab_size=vocab, hidden_size=hidden, intermediate_size=intermediate, num_hidden_layers=layers,
                num_attention_heads=heads, num_key_value_heads=kv_heads, **more)


PUBLISHED = {
    "meta-llama/Llama-3.2-1B": sizes("llama", 128256, 2048, 8192, 16, 32, 8, head_dim=64, tie_word_embeddings=True),
    "mistralai/Mistral-7B-v0.1": sizes("mistral", 32000, 4096, 14336, 32, 32, 8),
    "mistralai/Ministral-3-3B, its text half": sizes("ministral3", 131072, 3072, 9216, 26, 32, 8, head_dim=128, tie_word_embeddings=True),
    "Qwen/Qwen2.5-0.5B": sizes("qwen2", 151936, 896, 4864, 24, 14, 2, tie_word_embeddings=True),
    "Qwen/Qwen3-0.6B": sizes("qwen3", 151936, 1024, 3072, 28, 16, 8, head_dim=128, tie_word_embeddings=True),
    "google/gemma-2b": sizes("gemma", 256000, 2048, 16384, 18, 8, 1, head_dim=256),
    "google/gemma-2-2b": sizes("gemma2", 256000, 2304, 9216, 26, 8, 4, head_dim=256),
    "google/gemma-3-1b-pt": sizes("gemma3_text", 262144, 1152, 6912, 26, 4, 1, head_dim=256),
    "microsoft/Phi-4-mini-instruct": sizes("phi3", 200064, 3072, 8192, 32, 24, 8, tie_word_embeddings=True, partial_rotary_factor=0.75, pad_token_id=0),
    "HuggingFaceTB/SmolLM3-3B": sizes("smollm3", 128256, 2048, 11008, 36, 16, 4),
    "allenai/OLMo-2-1124-7B": sizes("olmo2", 100352, 4096, 11008, 32, 32, 32),
    "allenai/Olmo-3-1025-7B": sizes("olmo3", 100278, 4096, 11008, 32, 32, 32),
    "ibm-granite/granite-3.3-2b-base": sizes("granite", 49152, 2048, 8192, 40, 32, 8, tie_word_embeddings=True),
    "CohereLabs/c4ai-command-r7b-12-2024": sizes("cohere2", 256000, 4096, 14336, 32, 32, 8),
    "bigcode/starcoder2-3b": sizes("starcoder2", 49152, 3072, 12288, 30, 24, 2),
    "openai-community/gpt2": dict(model_type="gpt2", vocab_size=50257, n_embd=768, n_layer=12, n_head=12),
    "EleutherAI/pythia-160m": dict(model_type="gpt_neox", vocab_size=50304, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12),
    "Qwen/Qwen3-30B-A3B": sizes("qwen3_moe", 151936, 2048, 6144, 48, 32, 4, head_dim=128, num_experts=128, num_experts_per_tok=8, moe_intermediate_size=768),
    "mistralai/Mixtral-8x7B-v0.1": sizes("mixtral", 32000, 4096, 14336, 32, 32, 8, num_local_experts=8),
}


def count(config):
    config = dict(config)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(config.pop("model_type"), **config))
    return sum(parameter.numel() for parameter in model.parameters())


published = [{"name": name, "config": config, "parameters": count(config)} for name, config in PUBLISHED.items()]
path = Path(__file__).parent.parent / "src" / "fixtures" / "published.json"
path.write_text("[\n" + ",\n".join(f"  {json.dumps(one)}" for one in published) + "\n]\n")
for one in published:
    print(f"{one['parameters']:>15,}  {one['name']}")
