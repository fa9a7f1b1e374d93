import { TunesmithError } from '@tunesmith/core'
import { describe, expect, test, vi } from 'vitest'
import { Tokenizer } from '../tokenizer'

const words = (more: Record<string, unknown> = {}, model: Record<string, unknown> = {}) => ({
  added_tokens: [],
  ...more,
  model: { type: 'WordLevel', vocab: { '?': 0, a: 1, b: 2, 'a b': 3 }, unk_token: '?', ...model },
})
const load = (tokenizerJson: Record<string, unknown>) => new Tokenizer({ tokenizerJson })

function failure(json: unknown): TunesmithError {
  try {
    load(json as Record<string, unknown>)
  } catch (error) {
    expect(error).toBeInstanceOf(TunesmithError)
    return error as TunesmithError
  }
  throw new Error('did not throw')
}

describe('what neither engine does exactly is refused by name', () => {
  test.each([
    [words({ normalizer: { type: 'Uppercase' } }), /normalizer Uppercase/],
    [words({ pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'Bogus' }] } }), /pre-tokenizer Bogus/],
    [words({ decoder: { type: 'Rot13' } }), /decoder Rot13/],
    [words({ post_processor: { type: 'Shuffle' } }), /post-processor Shuffle/],
    [words({}, { type: 'Neural' }), /model type Neural/],
    [words({}, { type: 'BPE', vocab: { a: 0 }, merges: [], dropout: 0.1 }), /dropout 0.1/],
    [
      words({ pre_tokenizer: { type: 'Split', pattern: { Regex: '(a+)+b' }, behavior: 'Isolated', invert: false } }),
      /can vary in length/,
    ],
    [
      words({ pre_tokenizer: { type: 'Split', pattern: { Regex: '(a)\\1' }, behavior: 'Isolated', invert: false } }),
      /escape/,
    ],
    [words({ normalizer: { type: 'Replace', pattern: { Regex: '(?i)ß' }, content: '' } }), /case that is not ASCII/],
    [
      words({
        normalizer: { type: 'Lowercase' },
        added_tokens: ['Cat', 'cat'].map((content, i) => ({ id: 4 + i, content, normalized: true })),
      }),
      /left to chance/,
    ],
    [
      words({
        normalizer: { type: 'Strip', strip_left: true, strip_right: true },
        added_tokens: [{ id: 4, content: '  ', normalized: true }],
      }),
      /leaves nothing/,
    ],
    [
      words({
        normalizer: { type: 'Lowercase' },
        post_processor: { type: 'TemplateProcessing', single: [], pair: [], special_tokens: {} },
      }),
      /leaves the text out/,
    ],
  ])('%#', (json, message) => {
    const error = failure(json)
    expect(error.code).toBe('unsupported')
    expect(error.message).toMatch(message)
  })
})

describe('files that are no tokenizer end in an error', () => {
  test.each([
    [words({}, { vocab: { a: 1, b: 1 } }), /both have the id 1/],
    [words({}, { vocab: { a: -1 } }), /has the id -1/],
    [words({}, { vocab: { a: '1' } }), /has the id "1"/],
    [words({}, { type: 'BPE', merges: ['a b c'] }), /is not two tokens/],
    [words({}, { type: 'BPE', merges: [['a']] }), /list of pairs/],
    [words({}, { type: 'Unigram', vocab: [['a']] }), /"model.vocab.0"/],
    [words({}, { type: 'Unigram', vocab: [['a', -1]], unk_id: 5 }), /unk_id 5/],
    [words({ added_tokens: [{ id: 1, content: 'x' }] }), /has the id 1 of "a"/],
    [words({ added_tokens: [{ id: 2.5, content: 'x' }] }), /added_tokens.0.id/],
    [words({ normalizer: 'NFC' }), /"normalizer"/],
    [words({ normalizer: { type: 'Prepend' } }), /normalizer Prepend: "prepend"/],
    [words({ version: '2.0' }), /only version "1.0"/],
    [words({ normalizer: { type: 'Precompiled', precompiled_charsmap: 'AAA=' } }), /too short/],
    [words({ normalizer: { type: 'Precompiled', precompiled_charsmap: '/////w==' } }), /cut off/],
    [words({ truncation: { max_length: 'all', strategy: 'LongestFirst', stride: 0 } }), /truncation.max_length/],
  ])('%#', (json, message) => expect(failure(json).message).toMatch(message))

  test('ids of added tokens far from all others cost nothing', () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const tokenizer = load(words({ added_tokens: [{ id: 1_000_000_000, content: 'x', special: true }] }))
    // As in Rust, an added token's number is the next one, whatever the file says.
    expect([tokenizer.tokenToId('x'), tokenizer.vocabSize]).toEqual([4, 5])
    expect(String(warn.mock.calls[0]![0])).toMatch(/"x": 4, not 1000000000/)
    warn.mockRestore()
    const far = load(words({}, { vocab: { a: 2_000_000_000, '?': 0 } }))
    expect([far.encode('a').ids, far.decode([2_000_000_000])]).toEqual([[2_000_000_000], 'a'])
  })

  test('one warning names what nothing reads', () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    load(words({ normalizer: { type: 'NFC', strength: 3 }, sampler: {} }, { temperature: 1 }))
    expect(warn.mock.calls.length).toBe(1)
    expect(String(warn.mock.calls[0]![0])).toMatch(
      /nothing reads sampler, model.WordLevel.temperature, normalizer.NFC.strength/,
    )
    warn.mockRestore()
  })
})

describe('single cases, with the values of Rust tokenizers 0.23.2', () => {
  const bpe = (vocab: string[], merges: [string, string][], more: Record<string, unknown> = {}) => ({
    type: 'BPE',
    vocab: Object.fromEntries(vocab.map((token, id) => [token, id])),
    merges,
    ...more,
  })
  const encode = (json: Record<string, unknown>, text: string) => {
    const { ids, offsets } = load(json).encode(text)
    return [ids, offsets]
  }

  test('a character outside the vocabulary is dropped before merging, and the offsets are those of as many bytes', () => {
    const json = { added_tokens: [], model: bpe(['a', 'b', 'ab'], [['a', 'b']]) }
    expect(encode(json, 'aéb')).toEqual([[2], [[0, 2]]])
    expect(encode(json, 'éab')).toEqual([[2], [[0, 1]]])
  })

  test('an unknown character waits for the next known one, so bytes overtake it', () => {
    const model = bpe(['a', '?', '<0xC3>', '<0xA9>'], [], { byte_fallback: true, unk_token: '?' })
    expect(encode({ added_tokens: [], model }, 'xéa')).toEqual([
      [2, 3, 1, 0],
      [
        [0, 1],
        [1, 2],
        [1, 2],
        [2, 3],
      ],
    ])
  })

  test('a stretch begins where its first character comes from, so what is stripped is no beginning', () => {
    const json = {
      added_tokens: [],
      normalizer: { type: 'Strip', strip_left: true, strip_right: false },
      pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: false },
      model: bpe(['a', '▁'], []),
    }
    expect(encode(json, ' a')).toEqual([[0], [[1, 2]]])
    expect(encode(json, 'a')).toEqual([
      [1, 0],
      [
        [0, 1],
        [0, 1],
      ],
    ])
  })

  test('truncation leaves room for what each post-processor says it adds', () => {
    const template = {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: 'a', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [],
      special_tokens: { a: { id: 'a', ids: [0], tokens: ['a'] } },
    }
    const json = {
      added_tokens: [],
      post_processor: {
        type: 'Sequence',
        processors: [template, { type: 'BertProcessing', cls: ['a', 0], sep: ['b', 1] }],
      },
      truncation: { direction: 'Right', max_length: 5, strategy: 'LongestFirst', stride: 0 },
      model: bpe(['a', 'b'], []),
    }
    expect(encode(json, 'abab')).toEqual([
      [0, 0, 1, 0, 1, 1],
      [
        [0, 0],
        [0, 0],
        [0, 0],
        [0, 1],
        [1, 2],
        [0, 0],
      ],
    ])
  })

  test('a word that nothing of the text belongs to keeps its old spelling behind the new one', () => {
    const json = {
      added_tokens: [],
      normalizer: { type: 'Replace', pattern: { Regex: '\\b' }, content: 'b' },
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [
          { type: 'FixedLength', length: 1 },
          { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
        ],
      },
      model: bpe(['a', 'b', 'c'], []),
    }
    expect(encode(json, 'ac')).toEqual([
      [1, 1, 0, 2, 1],
      [
        [0, 0],
        [0, 0],
        [0, 1],
        [1, 2],
        [1, 2],
      ],
    ])
  })

  test('truncation and padding of the file are followed, unless told otherwise', () => {
    const json = words({
      pre_tokenizer: { type: 'Whitespace' },
      truncation: { direction: 'Left', max_length: 2, strategy: 'LongestFirst', stride: 0 },
      padding: {
        strategy: { Fixed: 3 },
        direction: 'Left',
        pad_to_multiple_of: 4,
        pad_id: 3,
        pad_type_id: 0,
        pad_token: 'a b',
      },
    })
    expect(load(json).encode('a b a b b').ids).toEqual([3, 3, 2, 2])
    expect(load(json).encode('a b a', { maxLength: 10, padding: false }).ids).toEqual([1, 2, 1])
    expect(new Tokenizer({ tokenizerJson: json, fileLimits: false }).encode('a b a').ids).toEqual([1, 2, 1])
  })
})

// Rust tokenizers 0.23.2: a match that lies in the spaces that `rstrip` of the one before has taken shares them, or is dropped with `lstrip`.
test.each([
  {
    lstrip: false,
    rstrip: true,
    text: 'a     b',
    ids: [1, 4, 4, 2],
    offsets: [
      [0, 1],
      [1, 6],
      [3, 6],
      [6, 7],
    ],
  },
  {
    lstrip: true,
    rstrip: false,
    text: '    ',
    ids: [4, 4],
    offsets: [
      [0, 2],
      [2, 4],
    ],
  },
  {
    lstrip: true,
    rstrip: true,
    text: 'a     b',
    ids: [1, 4, 2],
    offsets: [
      [0, 1],
      [1, 6],
      [6, 7],
    ],
  },
  {
    lstrip: true,
    rstrip: true,
    text: 'a        ',
    ids: [1, 4],
    offsets: [
      [0, 1],
      [1, 9],
    ],
  },
])('added tokens of spaces beside each other, %o', ({ lstrip, rstrip, text, ids, offsets }) => {
  const token = { id: 4, content: '  ', special: true, single_word: false, normalized: false, lstrip, rstrip }
  const encoding = load(words({ added_tokens: [token] })).encode(text)
  expect(encoding.ids).toEqual(ids)
  expect(encoding.offsets).toEqual(offsets)
})
