import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ExampleRow } from '@tunesmith/core'
import { describe, expect, test } from 'vitest'
import { sharedFolder } from '../testing/shared'
import { Tokenizer } from '../tokenizer'
import { buildExample } from './build'

const folder = sharedFolder('goldens', 'trl_sft')

interface Run {
  config: { max_length: number; assistant_only_loss?: boolean; packing?: boolean }
  train_rows: ExampleRow[]
  eval_rows: ExampleRow[]
  prepared_train: { input_ids: number[]; labels: number[] }[]
  prepared_eval: { input_ids: number[]; labels: number[] }[]
}

describe.skipIf(!folder)('TRL SFTTrainer', () => {
  test('encodes and renders as transformers does', async () => {
    const tokenizer = await Tokenizer.fromPretrained(join(folder as string, 'tokenizer'))
    const cases = JSON.parse(readFileSync(join(folder as string, 'tokenizer_cases.json'), 'utf8'))
    for (const c of cases.encode) {
      const { ids } = tokenizer.encode(c.text)
      expect(ids).toEqual(c.ids)
      expect(tokenizer.decode(ids)).toBe(c.decoded)
      expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe(c.decoded_skip_special)
    }
    for (const c of cases.chat_template) {
      const { text, ids, assistantMask } = tokenizer.renderChat(c.messages)
      expect(text).toBe(c.text)
      expect(ids).toEqual(c.ids)
      expect(assistantMask).toEqual(c.assistant_mask)
      expect(tokenizer.applyChatTemplate(c.messages.slice(0, -1), { addGenerationPrompt: true })).toBe(
        c.text_generation_prompt,
      )
    }
  })

  for (const name of ['a_prompt_completion', 'b_assistant_only', 'd_dft_loss'])
    test(`prepares the rows of ${name}`, async () => {
      const tokenizer = await Tokenizer.fromPretrained(join(folder as string, 'tokenizer'))
      const run = JSON.parse(readFileSync(join(folder as string, `${name}.json`), 'utf8')) as Run
      for (const [rows, prepared] of [
        [run.train_rows, run.prepared_train],
        [run.eval_rows, run.prepared_eval],
      ] as const) {
        const built = rows
          .map((row) =>
            buildExample(tokenizer, row, {
              maxLength: run.config.max_length,
              ...(run.config.assistant_only_loss ? { lossOn: 'assistant' as const } : {}),
            }),
          )
          .filter((example) => example.labels.some((label) => label !== -100))
        expect(built.map((b) => b.inputIds)).toEqual(prepared.map((p) => p.input_ids))
        expect(built.map((b) => b.labels)).toEqual(prepared.map((p) => p.labels))
      }
    })

  for (const name of ['c_packing_bfd', 'c2_packing_bfd_completion'])
    test(`prepares the rows that ${name} packs`, async () => {
      const tokenizer = await Tokenizer.fromPretrained(join(folder as string, 'tokenizer'))
      const run = JSON.parse(readFileSync(join(folder as string, `${name}.json`), 'utf8')) as Run
      const pieces = (list: { input_ids: number[]; labels: number[]; seq_lengths: number[] }[]) =>
        list.flatMap(({ input_ids, labels, seq_lengths }) => {
          let at = 0
          return seq_lengths.map((length) => {
            at += length
            return JSON.stringify([input_ids.slice(at - length, at), labels.slice(at - length, at)])
          })
        })
      const built = run.train_rows.map((row) => {
        const { inputIds, labels } = buildExample(tokenizer, row, { maxLength: run.config.max_length })
        return JSON.stringify([inputIds, labels])
      })
      expect(built.sort()).toEqual(pieces(run.prepared_train as never).sort())
    })
})
