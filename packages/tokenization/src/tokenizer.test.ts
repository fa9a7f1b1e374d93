import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isTunesmithError, TunesmithError } from '@tunesmith/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { randomText } from './testing/random-text'
import { Tokenizer } from './tokenizer'

const json = (name: string) =>
  JSON.parse(readFileSync(new URL(`./fixtures/${name}.tokenizer.json`, import.meta.url), 'utf8'))
const roles = { bos_token: '<s>', eos_token: '</s>', unk_token: '<unk>' }
const WORDS = ['the', ' river', 'Brücke', 'мельница', '水車', ' bread', "isn't"]

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tokenizer-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function write(name: string, files: Record<string, unknown>): Promise<string> {
  const path = join(folder, name)
  for (const [file, content] of Object.entries(files)) {
    await mkdir(join(path, file, '..'), { recursive: true })
    await writeFile(join(path, file), typeof content === 'string' ? content : JSON.stringify(content))
  }
  return path
}

async function failure(work: () => unknown): Promise<TunesmithError> {
  try {
    await work()
  } catch (error) {
    expect(isTunesmithError(error)).toBe(true)
    return error as TunesmithError
  }
  throw new Error('nothing was thrown')
}

describe('loading', () => {
  test('reads the layouts of transformers 4 and 5, templates from every place', async () => {
    const four = await write('four', {
      'tokenizer.json': json('bytes'),
      'tokenizer_config.json': {
        bos_token: { content: '<s>', lstrip: false },
        eos_token: '</s>',
        additional_special_tokens: ['<|start|>'],
        added_tokens_decoder: { '1': { content: '<s>', special: true } },
        chat_template: [
          { name: 'default', template: 'D{{ bos_token }}' },
          { name: 'tool_use', template: 'T{{ tools|length }}' },
        ],
      },
      'special_tokens_map.json': { eos_token: '<|end|>', pad_token: '<unk>' },
    })
    const a = await Tokenizer.fromPretrained(four)
    expect([a.bosToken, a.eosToken, a.padToken]).toEqual(['<s>', '</s>', '<unk>'])
    expect([a.bosTokenId, a.eosTokenId, a.padTokenId, a.unkTokenId]).toEqual([1, 2, 0, undefined])
    expect(a.applyChatTemplate([{ role: 'user', content: 'x' }])).toBe('D<s>')
    expect(a.applyChatTemplate([{ role: 'user', content: 'x' }], { tools: [{}, {}] })).toBe('T2')

    const five = await write('five', {
      'tokenizer.json': json('bytes'),
      'tokenizer_config.json': {
        eos_token: '</s>',
        extra_special_tokens: { image_token: '<|start|>' },
        chat_template: 'old',
      },
      'special_tokens_map.json': { eos_token: '<|end|>' },
      'chat_template.jinja': 'J{{ image_token }}{{ eos_token }}',
      'additional_chat_templates/brief.jinja': 'B',
    })
    const b = await Tokenizer.fromPretrained(five)
    expect(b.applyChatTemplate([{ role: 'user', content: 'x' }])).toBe('J<|start|><|end|>')
    expect(b.applyChatTemplate([{ role: 'user', content: 'x' }], { template: 'brief' })).toBe('B')
    expect(b.chatTemplate).toContain('image_token')
  })

  test('says what is wrong', async () => {
    expect((await failure(() => Tokenizer.fromPretrained(join(folder, 'nowhere')))).code).toBe('not_found')
    const bare = await write('bare', { 'config.json': {} })
    expect((await failure(() => Tokenizer.fromPretrained(bare))).message).toMatch(/no tokenizer\.json/)
    const cut = await write('cut', { 'tokenizer.json': JSON.stringify(json('bytes')).slice(0, 5000) })
    const broken = await failure(() => Tokenizer.fromPretrained(cut))
    expect([broken.code, broken.where]).toEqual(['invalid_file', `${join(cut, 'tokenizer.json')}:1:4997`])
    const empty = await write('empty', { 'tokenizer.json': { version: '1.0' } })
    expect((await failure(() => Tokenizer.fromPretrained(empty))).message).toMatch(/vocabulary/)
    const foreign = json('bytes')
    foreign.model.merges = [['zz', 'qq']]
    expect((await failure(() => new Tokenizer({ tokenizerJson: foreign }))).message).toMatch(/Merge 0/)
    const unknown = await write('unknown', {
      'tokenizer.json': json('bytes'),
      'tokenizer_config.json': { pad_token: '[PAD]' },
    })
    const error = await failure(() => Tokenizer.fromPretrained(unknown))
    expect([error.code, error.message]).toEqual(['incompatible', expect.stringContaining('pad_token is "[PAD]"')])
    const added = await Tokenizer.fromPretrained(unknown, { unknownSpecialTokens: 'add' })
    expect(added.padTokenId).toBe(added.vocabSize - 1)
    expect((await Tokenizer.fromPretrained(unknown, { unknownSpecialTokens: 'ignore' })).padToken).toBeUndefined()
    const misspelt = { fastEngin: true } as never
    expect((await failure(() => Tokenizer.fromPretrained(bare, misspelt))).message).toMatch(/did you mean "fastEngine"/)
  })

  test('chat errors are clear', async () => {
    const tokenizer = new Tokenizer({ tokenizerJson: json('bytes'), config: roles })
    const user = [{ role: 'user', content: 'x' }]
    expect((await failure(() => tokenizer.applyChatTemplate(user))).message).toMatch(/no chat template/)
    expect((await failure(() => tokenizer.applyChatTemplate(user, { template: 'chatlm' }))).message).toMatch(/"chatml"/)
    expect((await failure(() => tokenizer.applyChatTemplate([], { template: 'chatml' }))).message).toMatch(
      /at least one/,
    )
    const roleless = [{ content: 'x' }] as never
    expect((await failure(() => tokenizer.applyChatTemplate(roleless, { template: 'chatml' }))).where).toBe(
      'messages[0]',
    )
    const both = { template: 'chatml', addGenerationPrompt: true, continueFinalMessage: true }
    expect((await failure(() => tokenizer.applyChatTemplate(user, both))).code).toBe('invalid_options')
    const tools = { template: 'chatml', tools: [{ type: 'function' }] }
    expect((await failure(() => tokenizer.applyChatTemplate(user, tools))).code).toBe('unsupported')
    const forever = '{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}'
    expect((await failure(() => tokenizer.applyChatTemplate(user, { template: forever }))).message).toMatch(/steps/)
  })
})

describe('using', () => {
  const tokenizer = new Tokenizer({ tokenizerJson: json('chars'), config: { ...roles, pad_token: '<unk>' } })
  const bytes = new Tokenizer({ tokenizerJson: json('bytes'), config: roles })

  test('continues the final message', () => {
    const messages = [
      { role: 'user', content: 'Sing' },
      { role: 'assistant', content: 'La la ' },
    ]
    expect(tokenizer.applyChatTemplate(messages, { template: 'chatml', continueFinalMessage: true })).toMatch(
      /assistant\nLa la $/,
    )
    expect(tokenizer.applyChatTemplate(messages, { template: 'gemma', continueFinalMessage: true })).toMatch(
      /model\nLa la$/,
    )
  })

  test('streams what decode gives at once', () => {
    for (const model of [tokenizer, bytes])
      for (let i = 0; i < 600; i++) {
        const { ids } = model.encode(randomText(i, WORDS))
        for (const skipSpecialTokens of [false, true]) {
          const stream = model.decodeStream({ skipSpecialTokens })
          const pieces = ids.map((id) => stream.push(id))
          expect(pieces.join('') + stream.end()).toBe(model.decode(ids, { skipSpecialTokens }))
        }
      }
    const { ids } = bytes.encode('🦜', { addSpecialTokens: false })
    const stream = bytes.decodeStream()
    expect(ids.map((id) => stream.push(id))).toEqual([...new Array(ids.length - 1).fill(''), '🦜'])
    expect(stream.push(bytes.encode('a🦜', { addSpecialTokens: false }).ids.slice(0, -1))).toBe('a')
    expect(stream.end()).toBe('\ufffd')
  })

  test('offsets cut the source text', () => {
    const text = ' The river,  über 🦜 é<|end|>!'
    for (const model of [tokenizer, bytes]) {
      const { ids, offsets } = model.encode(text)
      expect(offsets[0]).toEqual([0, 0])
      const at = ids.indexOf(model.tokenToId('<|end|>')!)
      expect(text.slice(...offsets[at]!)).toBe('<|end|>')
      expect(
        offsets.slice(1).every(([start, end], i, list) => start < end && (i === 0 || start >= list[i - 1]![0])),
      ).toBe(true)
      expect(Math.max(...offsets.map(([, end]) => end))).toBe(text.length)
    }
    expect(bytes.encode('a\ud800b', { addSpecialTokens: false }).ids).toEqual(
      bytes.encode('a\ufffdb', { addSpecialTokens: false }).ids,
    )
  })

  test('adds tokens and says what the model must do', () => {
    const own = new Tokenizer({ tokenizerJson: json('bytes'), config: roles })
    const before = own.vocabSize
    expect(own.addTokens(['<|start|>', { content: '[CASE]', special: true }, 'Tunesmith'])).toEqual({
      added: 2,
      vocabSize: before + 2,
    })
    const { ids } = own.encode('[CASE]Tunesmith', { addSpecialTokens: false })
    expect(ids).toEqual([before, before + 1])
    expect(own.decode(ids, { skipSpecialTokens: true })).toBe('Tunesmith')
    expect(own.isSpecial(before)).toBe(true)
    own.setSpecialToken('pad_token', '[CASE]')
    expect(own.padTokenId).toBe(before)
  })

  test('what is saved loads again as the same', async () => {
    const own = new Tokenizer({
      tokenizerJson: json('chars'),
      config: { ...roles, model_max_length: 512 },
      chatTemplate: { default: 'D', tool_use: 'T' },
    })
    own.addTokens([{ content: '<|pad|>', special: true, rstrip: true }])
    own.setSpecialToken('pad_token', '<|pad|>')
    const path = join(folder, 'saved')
    await own.save(path)
    expect((await readdir(path)).sort()).toEqual([
      'additional_chat_templates',
      'chat_template.jinja',
      'special_tokens_map.json',
      'tokenizer.json',
      'tokenizer_config.json',
    ])
    const again = await Tokenizer.fromPretrained(path)
    expect(again.chatTemplates).toEqual({ default: 'D', tool_use: 'T' })
    expect(again.config.model_max_length).toBe(512)
    expect([again.padTokenId, again.vocabSize]).toEqual([own.padTokenId, own.vocabSize])
    for (let i = 0; i < 100; i++) {
      const text = `${randomText(i, WORDS)}<|pad|>  x`
      expect(again.encode(text).ids).toEqual(own.encode(text).ids)
    }
  })

  test('the general engine runs where the fast one is not exact, and the library where it is asked for and proven', () => {
    const words = {
      added_tokens: [{ id: 0, content: '[UNK]', special: true }],
      normalizer: { type: 'Lowercase' },
      pre_tokenizer: { type: 'Whitespace' },
      post_processor: null,
      decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
      model: {
        type: 'WordPiece',
        unk_token: '[UNK]',
        continuing_subword_prefix: '##',
        max_input_chars_per_word: 100,
        vocab: { '[UNK]': 0, river: 1, '##bank': 2, the: 3 },
      },
    }
    const model = new Tokenizer({ tokenizerJson: words })
    expect(model.engineInfo).toEqual({ name: 'general', reason: 'model type WordPiece' })
    const encoding = model.encode('The Riverbank xyz')
    expect(encoding.ids).toEqual([3, 1, 2, 0])
    expect(encoding.offsets).toEqual([
      [0, 3],
      [4, 9],
      [9, 13],
      [14, 17],
    ])
    expect(model.decode([3, 1, 2])).toBe('the riverbank')
    expect(() => new Tokenizer({ tokenizerJson: words, fastEngine: false })).toThrow(/library is not proven.*WordPiece/)
    const slow = new Tokenizer({ tokenizerJson: json('chars'), fastEngine: false })
    expect(slow.engineInfo.name).toBe('library')
    for (const text of ['The river runs.', "It isn't 42 metres"])
      expect(slow.encode(text).ids).toEqual(tokenizer.encode(text).ids)
    expect(() => slow.encode('the').offsets).toThrow(TunesmithError)
  })

  test('refuses a chat template with a construct that is not supported when it is loaded', () => {
    const config = (template: string) => ({
      chat_template: [
        { name: 'default', template: '{{ messages }}' },
        { name: 'rag', template },
      ],
    })
    const load = (template: string) =>
      new Tokenizer({ tokenizerJson: json('bytes'), config: config(template), where: 'models/x' })
    expect(() => load("a\n{% if false %}{% include 'x' %}{% endif %}")).toThrow(
      expect.objectContaining({ code: 'unsupported', where: 'models/x: chat template "rag", line 2' }),
    )
    // As in transformers, what is not well formed matters when it is rendered.
    expect(() => load('{% if %}').applyChatTemplate([{ role: 'user', content: 'a' }], { template: 'rag' })).toThrow(
      'not well formed',
    )
  })
})
