/** The content of a tokenizer.json in which each of the words `w0` to `w(count - 1)` is one token, so that lengths are what a bench wants. */
export const wordTokenizer = (count) => ({
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: [
    { id: count, content: '</s>', single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
  ],
  normalizer: null,
  pre_tokenizer: { type: 'WhitespaceSplit' },
  post_processor: null,
  decoder: null,
  model: {
    type: 'WordLevel',
    vocab: { ...Object.fromEntries(Array.from({ length: count }, (_, i) => [`w${i}`, i])), '</s>': count },
    unk_token: '</s>',
  },
})
