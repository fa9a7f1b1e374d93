/** A model of more than text, whose text half is a model of its own. */
export interface TextHalf {
  /** `model_type` of the text half where `text_config` does not name one. */
  textType: string
}

/** By `model_type` of the whole. */
export const TEXT_HALVES: Readonly<Record<string, TextHalf>> = {
  gemma3: { textType: 'gemma3_text' },
  mistral3: { textType: 'mistral' },
}

/** What stands before the names of the text half in the whole. */
export const TEXT_PREFIX = 'model.language_model.'

/** Tensors of the other halves, and of heads that guess several tokens at once, which only serve to be quick. */
export const OTHER_PARTS = [
  /^(?:model\.)?(vision_tower|vision_model|vision_encoder|visual|vision_embed_tokens|multi_modal_projector|embed_vision)\./,
  /^(?:model\.)?(audio_tower|audio_model|embed_audio)\./,
  /^(?:model\.)?(mtp)\./,
]
