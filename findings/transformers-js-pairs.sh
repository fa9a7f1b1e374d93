#!/usr/bin/env bash
# A guess: transformers.js encodes a pair of texts for a BERT cross-encoder with the token types that its tokenizer.json sets.
# Seen: it leaves them out unless tokenizer_class is one that it knows to have them; folders that transformers 5 saves say TokenizersBackend,
# and the model then gets zeros, so that the second text is read as part of the first.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null 2>&1
npm install --silent --no-audit --no-fund --ignore-scripts @huggingface/transformers@4.3.2
cat >case.mjs <<'J'
import { readFileSync } from 'node:fs'
import { BertTokenizer, PreTrainedTokenizer } from '@huggingface/transformers'
const { version } = JSON.parse(readFileSync('node_modules/@huggingface/transformers/package.json', 'utf8'))
const special = (id, content) => ({ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true })
const json = () => ({
  version: '1.0', truncation: null, padding: null, decoder: null, normalizer: null,
  added_tokens: [special(0, '[UNK]'), special(1, '[CLS]'), special(2, '[SEP]')],
  pre_tokenizer: { type: 'WhitespaceSplit' },
  post_processor: {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: '[CLS]', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: { id: '[SEP]', type_id: 0 } }],
    pair: [
      { SpecialToken: { id: '[CLS]', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: { id: '[SEP]', type_id: 0 } },
      { Sequence: { id: 'B', type_id: 1 } }, { SpecialToken: { id: '[SEP]', type_id: 1 } },
    ],
    special_tokens: { '[CLS]': { id: '[CLS]', ids: [1], tokens: ['[CLS]'] }, '[SEP]': { id: '[SEP]', ids: [2], tokens: ['[SEP]'] } },
  },
  model: { type: 'WordPiece', unk_token: '[UNK]', continuing_subword_prefix: '##', max_input_chars_per_word: 100, vocab: { '[UNK]': 0, '[CLS]': 1, '[SEP]': 2, a: 3, b: 4 } },
})
const config = { model_input_names: ['input_ids', 'attention_mask', 'token_type_ids'], unk_token: '[UNK]', cls_token: '[CLS]', sep_token: '[SEP]' }
const types = (Class, tokenizer_class) => {
  const encoded = new Class(json(), { ...config, tokenizer_class })('a', { text_pair: 'b', return_tensor: false })
  return encoded.token_type_ids ? [...encoded.token_type_ids].join(' ') : 'none'
}
const [generic, bert] = [types(PreTrainedTokenizer, 'TokenizersBackend'), types(BertTokenizer, 'BertTokenizer')]
console.log('@huggingface/transformers', version, '| TokenizersBackend:', generic, '| BertTokenizer:', bert)
if (generic === bert) process.exit(1)
J
node case.mjs
