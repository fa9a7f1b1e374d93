import { Dataset } from '@tunesmith/datasets'
import { Tokenizer } from '@tunesmith/tokenization'

/** A tokenizer of single characters. */
export function letterTokenizer(): Tokenizer {
  const special = ['<eos>', '<user>', '<bot>']
  const vocab = [...special, 'Ġ', ':', ...'abcdefghijklmnopqrstuvwxyz']
  const added = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true }
  return new Tokenizer({
    tokenizerJson: {
      version: '1.0',
      added_tokens: special.map((content, id) => ({ id, content, ...added })),
      pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
      decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
      model: { type: 'BPE', vocab: Object.fromEntries(vocab.map((token, id) => [token, id])), merges: [] },
    },
    config: {
      eos_token: '<eos>',
      chat_template:
        "{% for m in messages %}{{ '<user>' if m.role == 'user' else '<bot>' }}{{ m.content }}<eos>{% endfor %}{% if add_generation_prompt %}<bot>{% endif %}",
    },
  } as never)
}

export const LETTER_MODEL = {
  model_type: 'llama',
  vocab_size: 31,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  max_position_embeddings: 48,
  initializer_range: 0.2,
  tie_word_embeddings: true,
  eos_token_id: 0,
}

/** The letters after a letter: `c:` asks for `d e f g h`. Longer prompts begin with more letters. */
export function letterRows(): { prompt: string; completion: string; start: string }[] {
  return Array.from({ length: 20 }, (_, i) => {
    const letters = (from: number, count: number) =>
      Array.from({ length: count }, (_, j) => String.fromCharCode(97 + from + j)).join(' ')
    const lead = 1 + (i % 3)
    const from = Math.max(0, i - lead + 1)
    return {
      prompt: `${letters(from, i - from + 1)}:`,
      completion: letters(i + 1, 5),
      start: String.fromCharCode(97 + i),
    }
  })
}

export const letterDataset = () => Dataset.fromRows(letterRows())

/** The same as conversations. */
export const letterChats = () =>
  Dataset.fromRows(
    letterRows().map(({ prompt, completion }) => ({
      messages: [
        { role: 'user', content: prompt },
        { role: 'assistant', content: completion },
      ],
    })),
  )
