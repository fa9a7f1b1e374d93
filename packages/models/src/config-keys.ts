import type { KnownKeys } from '@tunesmith/core'

/**
 * Settings of generation that versions of transformers before 5 also wrote into config.json. Like transformers 5, nobody reads them there: those
 * of generation_config.json count.
 */
const GENERATION = [
  ...['max_length', 'min_length', 'max_new_tokens', 'min_new_tokens', 'do_sample', 'early_stopping', 'num_beams'],
  ...['num_beam_groups', 'diversity_penalty', 'temperature', 'top_k', 'top_p', 'typical_p', 'repetition_penalty'],
  ...['length_penalty', 'no_repeat_ngram_size', 'encoder_no_repeat_ngram_size', 'bad_words_ids', 'output_scores'],
  ...['num_return_sequences', 'return_dict_in_generate', 'forced_bos_token_id', 'forced_eos_token_id'],
  ...['remove_invalid_values', 'exponential_decay_length_penalty', 'suppress_tokens', 'begin_suppress_tokens'],
  ...['epsilon_cutoff', 'eta_cutoff', 'encoder_repetition_penalty', 'num_assistant_tokens'],
  ...['num_assistant_tokens_schedule', 'assistant_confidence_threshold', 'assistant_lookbehind', 'target_lookbehind'],
]

const dropout = { means: 'dropout within the model, which training here does not have', neutral: [0] }

/** Keys of config.json of all families. */
export const CONFIG_KEYS: KnownKeys = {
  harmless: {
    'where it comes from': [
      ...['_name_or_path', 'name_or_path', '_commit_hash', 'transformers_version', 'unsloth_version', 'unsloth_fixed'],
      ...['torchscript', 'auto_map', '_auto_class', 'is_llama_config', 'transformers.js_config'],
    ],
    'the tensors of the checkpoint say it, and are held against the configuration': ['architectures'],
    'how it is computed and not what': [
      ...['use_cache', 'attn_implementation', '_attn_implementation', '_attn_implementation_autoset'],
      ...['_attn_implementation_internal', '_experts_implementation_internal', '_flash_attn_2_enabled', 'use_bfloat16'],
      ...['chunk_size_feed_forward', 'pretraining_tp', 'cache_implementation', 'base_model_tp_plan'],
    ],
    'what a call returns in Python': [
      ...['output_attentions', 'output_hidden_states', 'return_dict', 'use_return_dict', 'tie_last_hidden_states'],
    ],
    'for heads that classify': [
      ...['id2label', 'label2id', 'num_labels', 'problem_type', 'finetuning_task', 'task_specific_params'],
      ...['classifier_dropout', 'summary_first_dropout'],
    ],
    'of models with an encoder': ['is_decoder', 'decoder_start_token_id', 'sep_token_id', 'tie_encoder_decoder'],
    "the tokenizer's own files say it": ['tokenizer_class', 'prefix'],
    'transformers 5 reads them in generation_config.json': GENERATION,
  },
  refused: {
    attention_dropout: dropout,
    hidden_dropout: dropout,
    resid_pdrop: dropout,
    embd_pdrop: dropout,
    is_encoder_decoder: { means: 'a model with an encoder' },
    add_cross_attention: { means: 'attention to an encoder' },
    pruned_heads: { means: 'attention heads that were taken out' },
    per_layer_config: { means: 'layers that differ from each other' },
    use_bidirectional_attention: { means: 'attention to later tokens' },
    rope_interleaved: { means: 'rotary positions that turn neighbouring pairs' },
    use_mrope: { means: 'positions in images' },
    mrope_section: { means: 'positions in images' },
  },
}

/** Parts that only models of images or sound have. */
export const MULTIMODAL_KEYS = ['text_config', 'vision_config', 'audio_config', 'thinker_config', 'llm_config']
