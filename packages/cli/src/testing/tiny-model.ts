import { fileURLToPath } from 'node:url'
import { createModel, savePretrained } from '@tunesmith/models'

const tinyMedic = fileURLToPath(new URL('../../../../examples/pretrain-tiny-medic/model', import.meta.url))

/** Saves a Llama with random weights, small enough to train in a moment, and the embedded model's tokenizer. */
export async function saveTinyModel(folder: string): Promise<void> {
  const model = createModel({
    model_type: 'llama',
    architectures: ['LlamaForCausalLM'],
    vocab_size: 2048,
    hidden_size: 32,
    intermediate_size: 48,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    max_position_embeddings: 256,
    tie_word_embeddings: true,
  })
  await savePretrained(model, folder, { tokenizerFrom: tinyMedic })
  model.dispose()
}
