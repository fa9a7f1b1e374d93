import type { KnownKeys } from '@tunesmith/core'

const assisted = { means: 'assisted decoding' }

/** Keys of generation_config.json that are not obeyed. */
export const GENERATION_KEYS: KnownKeys = {
  harmless: {
    'where it comes from': ['transformers_version', '_from_model_config', '_commit_hash', '_name_or_path'],
    'how it is computed and not what': [
      ...['use_cache', 'cache_implementation', 'cache_config', 'max_cache_len', 'compile_config', 'disable_compile'],
      ...['prefill_chunk_size', 'low_memory', 'continuous_batching_config', 'return_legacy_cache'],
    ],
    'what a call returns in Python': [
      ...['output_attentions', 'output_hidden_states', 'output_scores', 'output_logits', 'return_dict_in_generate'],
    ],
    'probabilities are normalised when a token is drawn': ['renormalize_logits'],
    'of beam search, which is refused where it is asked for': ['early_stopping', 'length_penalty'],
    'of assisted decoding, which is refused where it is asked for': [
      ...['num_assistant_tokens', 'num_assistant_tokens_schedule', 'assistant_confidence_threshold'],
      ...['assistant_lookbehind', 'target_lookbehind', 'max_matching_ngram_size'],
    ],
    'of models with an encoder': ['decoder_start_token_id'],
    'for text that is made by another program': [
      'chat_format',
      'max_window_size',
      'user_token_id',
      'assistant_token_id',
    ],
  },
  refused: {
    num_beams: { means: 'beam search', neutral: [1] },
    num_beam_groups: { means: 'beam search in groups', neutral: [1] },
    diversity_penalty: { means: 'beam search in groups', neutral: [0] },
    constraints: { means: 'constrained beam search' },
    force_words_ids: { means: 'constrained beam search' },
    penalty_alpha: { means: 'contrastive search', neutral: [0] },
    dola_layers: { means: 'decoding that contrasts layers' },
    guidance_scale: { means: 'guidance by a second prompt', neutral: [1] },
    watermarking_config: { means: 'a watermark in the text' },
    token_healing: { means: "another end of the prompt's tokens" },
    prompt_lookup_num_tokens: assisted,
    is_assistant: assisted,
    assistant_early_exit: assisted,
    assistant_ensemble_weight: assisted,
    speculation_type: assisted,
    use_mtp: assisted,
    num_return_sequences: { means: 'several answers to each prompt', neutral: [1] },
  },
}
