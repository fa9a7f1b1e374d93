import { readFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { randomText } from '../testing/random-text'
import { Tokenizer } from '../tokenizer'
import { chunksOf } from './chunks'

const json = (name: string) =>
  JSON.parse(readFileSync(new URL(`../fixtures/${name}.tokenizer.json`, import.meta.url), 'utf8'))
const words = ['river', ' bank', 'the', ' of', "n't", '42']

describe('encodeBatch', () => {
  const tokenizer = new Tokenizer({
    tokenizerJson: json('chars'),
    config: { bos_token: '<s>', eos_token: '</s>', pad_token: '</s>' },
  })
  const texts = Array.from({ length: 3000 }, (_, i) => randomText(i, words))
  const expected = texts.map((text) => tokenizer.encode(text).ids)
  afterAll(() => tokenizer.close())

  test('gives what encode gives, on this thread and on two others', async () => {
    expect((await tokenizer.encodeBatch(texts, { threads: 0 })).map((e) => e.ids)).toEqual(expected)
    const many = [...texts, ...texts.map((text) => text.repeat(40))]
    const threaded = await tokenizer.encodeBatch(many, { threads: 2 })
    expect(threaded.slice(0, 3000).map((e) => e.ids)).toEqual(expected)
    expect(threaded[4321]!.ids).toEqual(tokenizer.encode(many[4321]!).ids)
    expect(threaded[17]!.offsets).toEqual(tokenizer.encode(many[17]!).offsets)
  })

  test('threads learn of tokens added later', async () => {
    const own = new Tokenizer({ tokenizerJson: json('bytes') })
    await own.encodeBatch(['a <new> b'], { threads: 1 })
    const { added, vocabSize } = own.addTokens([{ content: '<new>', special: true }])
    expect([added, vocabSize]).toEqual([1, own.vocabSize])
    const [encoding] = await own.encodeBatch(['a <new> b'], { threads: 1 })
    expect(encoding!.ids).toContain(vocabSize - 1)
    expect(encoding!.ids).toEqual(own.encode('a <new> b').ids)
    await own.close()
  })

  test('pads and truncates on either side', async () => {
    const pad = tokenizer.padTokenId!
    const batch = await tokenizer.encodeBatch(['the river', 'the old mill by the river'], {
      padding: 'longest',
      paddingSide: 'left',
    })
    expect(batch[0]!.length).toBe(batch[1]!.length)
    const missing = batch[0]!.attentionMask.filter((bit) => bit === 0).length
    expect(missing).toBeGreaterThan(0)
    expect(batch[0]!.ids.slice(0, missing)).toEqual(new Array(missing).fill(pad))
    expect(batch[0]!.ids.slice(missing)).toEqual(tokenizer.encode('the river').ids)
    expect(batch[0]!.offsets[0]).toEqual([0, 0])

    const whole = tokenizer.encode('the old mill by the river', { addSpecialTokens: false }).ids
    const right = tokenizer.encode('the old mill by the river', { maxLength: 4 })
    expect(right.ids).toEqual([tokenizer.bosTokenId, ...whole.slice(0, 3)])
    const left = tokenizer.encode('the old mill by the river', { maxLength: 4, truncationSide: 'left' })
    expect(left.ids).toEqual([tokenizer.bosTokenId, ...whole.slice(-3)])
    expect(left.offsets.slice(1)).toEqual(tokenizer.encode('the old mill by the river').offsets.slice(-3))
    const filled = tokenizer.encode('the', { maxLength: 6, padding: 'maxLength' })
    expect(filled.length).toBe(6)
    expect(filled.ids.at(-1)).toBe(pad)
  })

  test('chunks cover every text once', () => {
    const sizes = [5, 0, 30, 1, 1, 1, 40, 2]
    const list = sizes.map((n) => 'x'.repeat(n))
    const spans = [...chunksOf(list, 20)]
    expect(spans[0]![0]).toBe(0)
    expect(spans.at(-1)![1]).toBe(list.length)
    for (let i = 1; i < spans.length; i++) expect(spans[i]![0]).toBe(spans[i - 1]![1])
  })
})
