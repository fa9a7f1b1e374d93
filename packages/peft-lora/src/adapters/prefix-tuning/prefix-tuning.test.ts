import { describe, expect, it } from 'vitest'
import { getPeftModel } from '../../peft-model'
import { testAdapter, tinyModel } from '../../testing'

const suite = { mergeable: false, startsAsBase: false }

testAdapter({
  name: 'prefix tuning',
  config: { peftType: 'PREFIX_TUNING', numVirtualTokens: 3 },
  keys: ['prompt_embeddings'],
  ...suite,
})

const PROJECTION = 'prompt_encoder.transform'
testAdapter({
  name: 'prefix tuning with a projection, in a model with a sliding window',
  config: { peftType: 'PREFIX_TUNING', numVirtualTokens: 4, prefixProjection: true, encoderHiddenSize: 12 },
  keys: [
    'prompt_encoder.embedding.weight',
    ...[
      `${PROJECTION}.0`,
      ...[0, 1].flatMap((l) => [`${PROJECTION}.2.${l}.keys`, `${PROJECTION}.2.${l}.values`]),
    ].flatMap((part) => [`${part}.weight`, `${part}.bias`]),
  ],
  keysAfterLoading: ['prompt_embeddings'],
  model: { config: { model_type: 'mistral', sliding_window: 6 } },
  ...suite,
})

describe('prefix tuning', () => {
  it('has as many parameters as PEFT', () => {
    // Keys of a layer are 16 wide: two heads of eight.
    const trainable = (options: object) => {
      const peft = getPeftModel(tinyModel(), { peftType: 'PREFIX_TUNING', numVirtualTokens: 5, ...options })
      const { trainable } = peft.parameterCounts()
      peft.unload().dispose()
      return trainable
    }
    expect(trainable({})).toBe(5 * 2 * 2 * 16)
    const wide = (hidden: number) => 5 * 16 + (16 + 1) * hidden + (hidden + 1) * 2 * 2 * 16
    expect(trainable({ prefixProjection: true })).toBe(wide(16))
    expect(trainable({ prefixProjection: true, encoderHiddenSize: 9 })).toBe(wide(9))
  })

  it('begins with keys and values of zero when asked to', () => {
    for (const prefixProjection of [false, true]) {
      const options = { peftType: 'PREFIX_TUNING' as const, numVirtualTokens: 2, initWeights: 'zero' as const }
      const peft = getPeftModel(tinyModel(), { ...options, prefixProjection })
      const { keys, values } = peft.model.attachment!.virtualTokens!.keyValues!(1)
      expect([...keys.dataSync(), ...values.dataSync()].every((value) => value === 0)).toBe(true)
      peft.unload().dispose()
    }
  })
})
