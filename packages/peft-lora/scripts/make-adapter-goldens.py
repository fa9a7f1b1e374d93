"""Makes src/fixtures/adapters.golden.json with Python's PEFT: how patterns match, the keys of its files, combinations of adapters with patterns,
and adapters of models whose head is tied to the embeddings, with their files and logits.

    python make-adapter-goldens.py
"""

import json
import tempfile
import warnings
from pathlib import Path

import peft
import torch
import transformers
from peft import AdaLoraConfig, IA3Config, LoraConfig, PeftModel, PrefixTuningConfig, PromptTuningConfig, VeraConfig, get_peft_model
from peft.utils.other import get_pattern_key
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

warnings.simplefilter("ignore")
transformers.logging.set_verbosity_error()
torch.set_num_threads(1)
FIXTURES = Path(__file__).parent.parent / "src" / "fixtures"
MODELS = Path(__file__).parent.parent.parent / "models" / "src" / "fixtures"
IDS = [3, 14, 15, 9, 26, 5, 35, 8, 9, 7, 9]

NAMES = [f"model.layers.{i}.{m}" for i in (0, 1, 11, 21) for m in ("self_attn.q_proj", "self_attn.v_proj", "self_attn.qkv_proj", "mlp.up_proj", "mlp.gate_up_proj")] + ["lm_head"]
PATTERNS = [
    ["1.self_attn.q_proj"], ["proj"], ["attn.q_proj"], ["v_proj"], ["up_proj"], ["q_proj", "layers.1.self_attn.q_proj"],
    ["layers.1.self_attn.q_proj", "q_proj"], [r"layers\.1\.self_attn\..*"], ["q_proj|v_proj"], ["model.layers.11.mlp.up_proj"],
    [r".*\.(q|v)_proj"], [r"\d+\.mlp\.up_proj"], ["self_attn.q_proj$"], ["^model.layers.0.self_attn.q_proj"], ["lm_head"], ["head"],
    [r"(?P<part>mlp|self_attn)\.up_proj"], ["layers.[01].self_attn.q_proj"], [r"(?!lm).*v_proj"], ["1"],
]


def saved(config):
    with tempfile.TemporaryDirectory() as folder:
        config.save_pretrained(folder)
        return json.loads((Path(folder) / "adapter_config.json").read_text())


TARGETS = {"target_modules": ["q_proj"]}
CONFIGS = {
    "LORA": LoraConfig(**TARGETS),
    "IA3": IA3Config(**TARGETS, feedforward_modules=[]),
    "ADALORA": AdaLoraConfig(**TARGETS, total_step=10),
    "VERA": VeraConfig(**TARGETS),
    "PROMPT_TUNING": PromptTuningConfig(num_virtual_tokens=3),
    "PREFIX_TUNING": PrefixTuningConfig(num_virtual_tokens=3),
}


class Two(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.up_proj = torch.nn.Linear(6, 5, bias=False)
        self.down_proj = torch.nn.Linear(5, 6, bias=False)

    def forward(self, x):
        return self.down_proj(self.up_proj(x))


SOURCES = {
    "one": dict(r=2, lora_alpha=3, rank_pattern={"down_proj": 4}),
    "two": dict(r=2, lora_alpha=8, rank_pattern={"down_proj": 4}, alpha_pattern={"up_proj": 5}),
    "three": dict(r=3, lora_alpha=3, rank_pattern={"up_proj": 1}),
}
COMBINATIONS = [
    dict(adapters=["one", "two"], weights=[0.7, -0.4], combination_type="linear"),
    dict(adapters=["one", "two"], weights=[0.7, 0.4], combination_type="ties", density=0.5),
    dict(adapters=["one", "two"], weights=[0.7, 0.4], combination_type="magnitude_prune", density=0.6),
    dict(adapters=["one", "three"], weights=[0.7, -0.4], combination_type="cat"),
    dict(adapters=["one", "two", "three"], weights=[1.0, 0.5, 0.25], combination_type="svd"),
    dict(adapters=["one", "three"], weights=[1.0, 0.5], combination_type="svd", svd_rank=3),
    dict(adapters=["one", "two"], weights=[1.0, 0.5], combination_type="ties_svd", density=0.5),
    dict(adapters=["three"], weights=[0.5], combination_type="linear"),
]


@torch.no_grad()
def weighted():
    torch.manual_seed(3)
    model = None
    for name, config in SOURCES.items():
        config = LoraConfig(**config, target_modules=["up_proj", "down_proj"])
        if model is None:
            model = get_peft_model(Two(), config, adapter_name=name)
        else:
            model.add_adapter(name, config)
    layers = {"up_proj": model.base_model.model.up_proj, "down_proj": model.base_model.model.down_proj}
    inputs = {}
    for name in SOURCES:
        for module, layer in layers.items():
            for part in (layer.lora_A[name], layer.lora_B[name]):
                part.weight.normal_()
            inputs[f"{name} {module}"] = [layer.lora_A[name].weight.flatten().tolist(), layer.lora_B[name].weight.flatten().tolist()]
    results = []
    for i, options in enumerate(COMBINATIONS):
        model.add_weighted_adapter(adapter_name=f"new{i}", **options)
        updates = {module: layer.get_delta_weight(f"new{i}").flatten().tolist() for module, layer in layers.items()}
        results.append({**options, "updates": updates})
    return {"sources": SOURCES, "inputs": inputs, "results": results}


@torch.no_grad()
def adapter(family, seed, dtype=torch.float32, **config):
    """An adapter of a tiny model: its file, and the model's last logits with it."""
    base = lambda: AutoModelForCausalLM.from_pretrained(MODELS / family, dtype=torch.float32, attn_implementation="eager").eval()
    model = get_peft_model(base(), LoraConfig(**config))
    torch.manual_seed(seed)
    # The embeddings' half of what is tied is the one that counts; PEFT's parameters of the head share its memory.
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    for name, parameter in model.named_parameters():
        if ".default" in name and ("trainable_tokens" in name or not name.startswith("base_model.model.lm_head")):
            parameter.data.copy_(torch.randn_like(parameter) * 0.3)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        path = Path(folder) / "adapter_model.safetensors"
        # The base model's own matrices, which PEFT puts there as well, are in the fixture.
        tensors = {k: v.to(dtype) for k, v in load_file(path).items() if "base_layer" not in k}
        save_file(tensors, path)
        written = json.loads((Path(folder) / "adapter_config.json").read_text())
        # PEFT writes the path of the model, which is another one on every machine.
        written["base_model_name_or_path"] = family
        again = PeftModel.from_pretrained(base(), folder)
        logits = again(torch.tensor([IDS])).logits[0, -1]
        continued = PeftModel.from_pretrained(base(), folder, is_trainable=True)
    return {
        "family": family,
        "config": {k: (sorted(v) if isinstance(v, (set, list)) else v) for k, v in written.items()},
        "dtype": {torch.float32: "F32", torch.float64: "F64"}[dtype],
        "tensors": {k: [list(v.shape), v.flatten().tolist()] for k, v in tensors.items()},
        "trained": sorted(name.replace(".default", "") for name, p in continued.named_parameters() if p.requires_grad),
        "logits": logits.tolist(),
    }


TIED = dict(r=2, lora_alpha=3, ensure_weight_tying=True)
golden = {
    "peft": peft.__version__,
    "names": NAMES,
    "patterns": [[keys, [get_pattern_key(keys, name) for name in NAMES]] for keys in PATTERNS],
    "configs": {kind: saved(config) for kind, config in CONFIGS.items()},
    "weighted": weighted(),
    "ids": IDS,
    "adapters": {
        "tied, by the embeddings": adapter("qwen2", 1, target_modules=["embed_tokens"], **TIED),
        "tied, by the head": adapter("qwen2", 2, target_modules=["lm_head", "q_proj"], **TIED),
        "tied, by an expression": adapter("qwen2", 3, target_modules=".*q_proj|lm_head", **TIED),
        "not tied": adapter("qwen2", 4, target_modules=["embed_tokens", "lm_head"], r=2),
        "saved head": adapter("qwen2", 5, target_modules=["q_proj"], modules_to_save=["lm_head"], **TIED),
        "mica": adapter("llama", 6, target_modules=["q_proj", "embed_tokens"], r=2, init_lora_weights="mica"),
        "orthogonal": adapter("llama", 7, target_modules=["q_proj"], r=2, init_lora_weights="orthogonal"),
        "float64": adapter("llama", 8, dtype=torch.float64, target_modules=["q_proj"], r=2),
        "saved with all that is in it": adapter("llama", 10, target_modules=["up_proj"], modules_to_save=["layers.1.self_attn"], r=2),
        "other tokens of a tied head": adapter(
            "qwen2", 11, target_modules=["q_proj"], trainable_token_indices={"embed_tokens": [3, 5], "lm_head": [9]}, r=2
        ),
        "names of other models": adapter("llama", 9, target_modules=["q_proj", "v_proj", "query_key_value"], r=2),
    },
}
text = json.dumps(golden, default=float)
(FIXTURES / "adapters.golden.json").write_text(json.dumps(json.loads(text, parse_float=lambda t: float(f"{float(t):.9g}"))) + "\n")
