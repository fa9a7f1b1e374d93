import { selectBackend } from '@tunesmith/backend'
import { generate } from '@tunesmith/models'
import { beforeAll, describe, expect, it } from 'vitest'
import type { PeftConfigOptions } from '../config-types'
import { getPeftModel } from '../peft-model'
import { tinyModel } from '../testing'
import { largestDifference, logitsOf, SEQUENCES } from '../testing/measure'

beforeAll(async () => {
  await selectBackend()
})

const configs: PeftConfigOptions[] = [
  { peftType: 'PROMPT_TUNING', numVirtualTokens: 4 },
  { peftType: 'PREFIX_TUNING', numVirtualTokens: 4 },
]

describe.each(configs)('$peftType in batches', (config) => {
  it('gives each sequence of a packed batch what it gives it alone', () => {
    const peft = getPeftModel(tinyModel(), config)
    const together = logitsOf(peft.model)
    const alone = SEQUENCES.flatMap((sequence) => [...logitsOf(peft.model, [sequence])])
    expect(largestDifference(together, alone)).toBeLessThan(1e-5)
    // Another order, so that each sequence lies elsewhere.
    const [first, second, third] = SEQUENCES as [number[], number[], number[]]
    const moved = logitsOf(peft.model, [third, first, second])
    const size = (sequence: number[]) => sequence.length * peft.model.config.vocabSize
    expect(largestDifference(moved.slice(size(third)), together.slice(0, size(first) + size(second)))).toBeLessThan(
      1e-5,
    )
    peft.unload().dispose()
  })

  it('generates for prompts of different lengths together what it does for each alone, several answers too', async () => {
    const peft = getPeftModel(tinyModel(), config)
    const options = { maxNewTokens: 6, stopTokenIds: [] }
    const together = await generate(peft.model, SEQUENCES, options)
    for (const [i, sequence] of SEQUENCES.entries())
      expect(together[i]).toEqual((await generate(peft.model, [sequence], options))[0])
    // The copies of a prompt's keys and values hold the virtual positions as well.
    const twice = await generate(peft.model, SEQUENCES, { ...options, numReturnSequences: 2, doSample: true, topK: 1 })
    expect(twice).toEqual(together.flatMap((answer) => [answer, answer]))
    await peft.withoutAdapter(async () => {
      expect(await generate(peft.model, SEQUENCES, options)).not.toEqual(together)
    })
    peft.unload().dispose()
  })
})
