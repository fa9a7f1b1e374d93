"""Makes src/fixtures/generation.golden.json: what transformers makes of the settings of generation_config.json, as probabilities of the next
token and as the answers of a tiny model.

python scripts/make-generation-goldens.py    (needs torch and transformers; made with transformers 5.18)
"""

import json
import warnings
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, GenerationConfig

warnings.simplefilter("ignore")
transformers.logging.set_verbosity_error()
torch.set_num_threads(1)
FIXTURES = Path(__file__).parent.parent / "src" / "fixtures"
model = AutoModelForCausalLM.from_pretrained(FIXTURES / "llama", dtype=torch.float32, attn_implementation="eager").eval()
EOS = [1, 9]
TOKENS = [5, 7, 11, 5, 7, 20, 3, 5, 7, 11, 30, 5, 7]

# Settings, the length of the prompt, and that of the longest sequence.
CASES = [
    ({}, 6, 40),
    ({"sequence_bias": [[[4], 2.5], [[4], 1.25], [[5, 7, 33], 3.0], [[7, 33], -0.5], [[9, 9, 9], 7.0]]}, 6, 40),
    ({"encoder_repetition_penalty": 1.7}, 6, 40),
    ({"repetition_penalty": 1.7}, 6, 40),
    ({"repetition_penalty": 0.6, "encoder_repetition_penalty": 0.5, "sequence_bias": [[[5], 1.5]]}, 4, 40),
    ({"no_repeat_ngram_size": 1}, 6, 40),
    ({"no_repeat_ngram_size": 2}, 6, 40),
    ({"no_repeat_ngram_size": 3}, 6, 40),
    ({"no_repeat_ngram_size": 20}, 6, 40),
    ({"encoder_no_repeat_ngram_size": 3}, 6, 40),
    ({"encoder_no_repeat_ngram_size": 3}, 11, 40),
    ({"encoder_no_repeat_ngram_size": 1}, 4, 40),
    ({"bad_words_ids": [[12], [1], [5, 7, 11], [7, 21], [40, 41]]}, 6, 40),
    ({"min_length": 14}, 6, 40),
    ({"min_length": 13}, 6, 40),
    ({"min_new_tokens": 8}, 6, 40),
    ({"min_new_tokens": 7}, 6, 40),
    ({"forced_bos_token_id": 8}, 6, 40),
    ({"forced_eos_token_id": 1}, 6, 14),
    ({"forced_eos_token_id": [1, 9]}, 6, 14),
    ({"forced_eos_token_id": 1}, 6, 15),
    ({"exponential_decay_length_penalty": [3, 1.2]}, 6, 40),
    ({"exponential_decay_length_penalty": [7, 1.2]}, 6, 40),
    ({"suppress_tokens": [1, 2, 3, 60]}, 6, 40),
    ({"begin_suppress_tokens": [4, 5]}, 13, 40),
    ({"begin_suppress_tokens": [4, 5]}, 12, 40),
    ({"remove_invalid_values": True, "suppress_tokens": [0]}, 6, 40),
    ({"temperature": 1.6}, 6, 40),
    ({"top_k": 5}, 6, 40),
    ({"top_p": 0.7}, 6, 40),
    ({"min_p": 0.2}, 6, 40),
    ({"top_h": 0.4}, 6, 40),
    ({"top_h": 0.9, "top_k": 6, "temperature": 1.5}, 6, 40),
    ({"top_h": 0.3, "top_k": 60}, 6, 40),
    ({"typical_p": 0.5}, 6, 40),
    ({"typical_p": 0.9, "top_k": 20}, 6, 40),
    ({"epsilon_cutoff": 0.02}, 6, 40),
    ({"epsilon_cutoff": 0.9}, 6, 40),
    ({"eta_cutoff": 0.05}, 6, 40),
    ({"typical_p": 0.6, "epsilon_cutoff": 0.03, "eta_cutoff": 0.1, "temperature": 1.3, "top_p": 0.95}, 6, 40),
    ({"top_k": 30, "top_p": 0.9, "min_p": 0.05, "repetition_penalty": 1.2, "no_repeat_ngram_size": 3, "suppress_tokens": [40, 41], "min_length": 20}, 6, 40),
]
SAMPLING = {"temperature", "top_k", "top_p", "min_p", "top_h", "typical_p", "epsilon_cutoff", "eta_cutoff"}


@torch.no_grad()
def probabilities(settings, prompt_length, max_length, seed):
    do_sample = bool(SAMPLING & settings.keys())
    config = GenerationConfig(**{"top_k": 0, **settings}, do_sample=do_sample, max_length=max_length, eos_token_id=EOS)
    config._eos_token_tensor = torch.tensor(EOS)
    ids = torch.tensor([TOKENS])
    processors = model._get_logits_processor(config, input_ids_seq_length=prompt_length, encoder_input_ids=ids[:, :prompt_length])
    logits = torch.randn(1, 64, generator=torch.Generator().manual_seed(seed)) * 2
    scores = processors(ids, logits.clone())
    return {
        "settings": {**settings, "do_sample": do_sample},
        "promptLength": prompt_length,
        "maxLength": max_length,
        "logits": logits[0].tolist(),
        "probabilities": scores[0].double().softmax(-1).tolist(),
    }


ANSWERS = [
    {"max_new_tokens": 24, "no_repeat_ngram_size": 2},
    {"max_new_tokens": 24, "no_repeat_ngram_size": 1},
    {"max_length": 16},
    {"max_new_tokens": 12, "max_length": 9, "forced_eos_token_id": 44},
    {"max_length": 15, "forced_eos_token_id": [44, 45]},
    {"max_new_tokens": 24, "repetition_penalty": 1.3, "encoder_no_repeat_ngram_size": 2, "encoder_repetition_penalty": 1.2},
    {"max_new_tokens": 16, "suppress_tokens": list(range(20, 80))},
    {"max_new_tokens": 16, "begin_suppress_tokens": list(range(20, 80)), "suppress_tokens": [3]},
    {"max_new_tokens": 16, "eos_token_id": list(range(40, 96)), "min_new_tokens": 5},
    {"max_new_tokens": 16, "eos_token_id": list(range(40, 96)), "min_length": 11},
    {"max_new_tokens": 30, "eos_token_id": [44], "exponential_decay_length_penalty": [4, 1.6]},
    {"max_new_tokens": 16, "bad_words_ids": [[i] for i in range(30, 60)], "sequence_bias": [[[i], 1.5] for i in range(60, 80)]},
    {"max_new_tokens": 16, "num_beams": 1, "length_penalty": 2.0, "early_stopping": True, "diversity_penalty": 0.0},
]
PROMPT = [5, 9, 11, 60, 4, 80]


@torch.no_grad()
def answer(settings):
    # Nothing ends it but what the settings say.
    config = GenerationConfig(**{"eos_token_id": None, "pad_token_id": 2, **settings})
    model.generation_config = GenerationConfig()
    output = model.generate(torch.tensor([PROMPT]), generation_config=config, attention_mask=torch.ones(1, len(PROMPT), dtype=torch.long))
    return {"settings": settings, "tokens": output[0, len(PROMPT):].tolist()}


golden = {
    "transformers": transformers.__version__,
    "keys": sorted(k for k in GenerationConfig().__dict__ if not k.startswith("_")),
    "tokens": TOKENS,
    "eosTokenIds": EOS,
    "probabilities": [probabilities(*case, seed) for seed, case in enumerate(CASES)],
    "prompt": PROMPT,
    "answers": [answer(settings) for settings in ANSWERS],
}
(FIXTURES / "generation.golden.json").write_text(json.dumps(golden) + "\n")
