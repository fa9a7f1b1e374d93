/** Sound tokenizers and templates of every kind, small enough that every part of them is damaged often. */

const tokens = ['<s>', '</s>', '<unk>']
const added = tokens.map((content, id) => ({
  id,
  content,
  single_word: false,
  lstrip: id === 1,
  rstrip: false,
  normalized: id === 2,
  special: true,
}))
const vocabOf = (list) => Object.fromEntries([...new Set([...tokens, ...list])].map((token, id) => [token, id]))
const letters = [...'Helo,Wrdabc123"! \n']
const wrap = (parts) => ({
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: added,
  normalizer: null,
  pre_tokenizer: null,
  post_processor: null,
  decoder: null,
  ...parts,
})
const bpe = (vocab, merges, more = {}) => ({
  type: 'BPE',
  dropout: null,
  unk_token: null,
  continuing_subword_prefix: null,
  end_of_word_suffix: null,
  fuse_unk: false,
  byte_fallback: false,
  ignore_merges: false,
  vocab,
  merges,
  ...more,
})

const byteSymbols = Array.from({ length: 256 }, (_, byte) =>
  (byte > 32 && byte < 127) || (byte > 160 && byte !== 173) ? String.fromCharCode(byte) : undefined,
)
let next = 256
const symbols = byteSymbols.map((symbol) => symbol ?? String.fromCharCode(next++))
const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`)

export const tokenizers = [
  wrap({
    normalizer: {
      type: 'Sequence',
      normalizers: [{ type: 'NFC' }, { type: 'Replace', pattern: { Regex: ' {2,}' }, content: ' ' }],
    },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        {
          type: 'Split',
          pattern: { Regex: "'s|\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+" },
          behavior: 'Isolated',
          invert: false,
        },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    post_processor: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: bpe(vocabOf([...symbols, 'll', 'He', 'llo', 'Hello', 'Ġa']), ['l l', 'H e', 'll o', 'He llo', 'Ġ a']),
  }),
  wrap({
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Prepend', prepend: '▁' },
        { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
      ],
    },
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
      special_tokens: { '<s>': { id: '<s>', ids: [0], tokens: ['<s>'] } },
    },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model: bpe(
      vocabOf([...bytes, ...letters, '▁', '▁H', 'el']),
      [
        ['▁', 'H'],
        ['e', 'l'],
      ],
      {
        unk_token: '<unk>',
        fuse_unk: true,
        byte_fallback: true,
      },
    ),
  }),
  wrap({
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: { type: 'BertProcessing', sep: ['</s>', 1], cls: ['<s>', 0] },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '<unk>',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: vocabOf(['hello', 'w', '##o', '##rld', '123', ',', '"', 'ab', '##c']),
    },
  }),
  wrap({
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Strip', strip_left: true, strip_right: true },
        { type: 'Lowercase' },
        { type: 'StripAccents' },
      ],
    },
    pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
    decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
    model: {
      type: 'Unigram',
      unk_id: 2,
      byte_fallback: false,
      vocab: [...tokens, '▁', ...new Set(letters), '▁hello', 'or', 'ld'].map((piece, i) => [piece, -i / 3]),
    },
  }),
  wrap({
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Whitespace' },
        { type: 'Digits', individual_digits: true },
        { type: 'Punctuation', behavior: 'Isolated' },
      ],
    },
    decoder: { type: 'CTC', pad_token: '<s>', word_delimiter_token: '|', cleanup: true },
    model: { type: 'WordLevel', unk_token: '<unk>', vocab: vocabOf(['Hello', ',', '"', '1', '2', '3', 'ab', 'abc']) },
  }),
]

export const templates = [
  "{{ bos_token }}{% for m in messages %}{% if loop.first and m['role'] != 'system' %}{{ '<|im_start|>system\\nYou help.<|im_end|>\\n' }}{% endif %}{{ '<|im_start|>' + m.role + '\\n' + m['content'] | trim + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
  `{%- macro show(x, depth=0) -%}{%- if x is mapping -%}{% for k, v in x|items %}{{ k }}: {{ show(v, depth + 1) }}{% endfor %}{%- elif x is string -%}{{ x|upper|replace('A', 'b') }}{%- else -%}{{ x|tojson(indent=2) }}{%- endif -%}{%- endmacro -%}
{%- set ns = namespace(last=-1, text='') %}
{%- for m in messages[::-1] if m.role in ['user', 'assistant'] %}
{%- set ns.last = loop.index0 %}{% set ns.text = ns.text ~ m.content.split(' ')[0][:3] %}
{%- endfor %}
{{- ns.last }} {{ ns.text * 2 }} {{ tools | map(attribute='function') | map(attribute='name') | join(', ') }}
{%- if tools is defined and tools %}{{ show(tools[0]) }}{% endif %}
{{- (messages | length) // 2 }} {{ 7 % 3 }} {{ 2 ** 10 }} {{ "%s-%d" | format("a", 3) if false else range(3) | list | sum }}`,
  `{% generation %}{% for m in messages recursive %}{% filter upper %}{{ m.content or raise_exception('No content') }}{% endfilter %}{% else %}none{% endfor %}{% endgeneration %}{# a comment #}{% raw %}{{ raw }}{% endraw %}{% set block %}{{ strftime_now('%Y') | length }}{% endset %}{{ block }}`,
]
