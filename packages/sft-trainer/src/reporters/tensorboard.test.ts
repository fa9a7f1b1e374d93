import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { pythonVenv } from '@tunesmith/tooling/python'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { crc32c, tensorboardReporter } from './tensorboard'
import { context, evalLog, plan, trainLog } from './testing/logs'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-'))
})
afterEach(() => rm(folder, { recursive: true }))

/** Logs three steps, is killed, and goes on from a checkpoint after the second. */
async function resumedRun(): Promise<void> {
  const first = tensorboardReporter(folder)
  await first.onTrainBegin!(plan({ outputDir: folder }), context())
  for (const step of [1, 2, 3]) await first.onLog!(trainLog({ step, loss: 1 / step }), context())
  const second = tensorboardReporter(folder)
  await second.onTrainBegin!(plan({ outputDir: folder }, { resumedStep: 2 }), context())
  await second.onLog!(trainLog({ step: 3, loss: 0.25 }), context())
  await second.onEvaluate!(evalLog({ step: 3, evalLoss: 0.5, evalRougeL: 0.75 }), context())
}

type Fields = Map<number, (number | Uint8Array)[]>

/** Any protobuf message, by its wire format alone. */
function parseMessage(data: Uint8Array): Fields {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  const fields: Fields = new Map()
  let at = 0
  const varint = () => {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = data[at++]!
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
  }
  while (at < data.length) {
    const key = varint()
    let value: number | Uint8Array
    if ((key & 7) === 0) value = varint()
    else if ((key & 7) === 1) [value, at] = [view.getFloat64(at, true), at + 8]
    else if ((key & 7) === 5) [value, at] = [view.getFloat32(at, true), at + 4]
    else {
      const length = varint()
      ;[value, at] = [data.subarray(at, at + length), at + length]
    }
    fields.set(key >>> 3, [...(fields.get(key >>> 3) ?? []), value])
  }
  return fields
}

/** A TFRecord file, with its checksums computed bit by bit. */
function parseRecords(file: Uint8Array): Fields[] {
  const slowCrc = (data: Uint8Array) => {
    let crc = 0xffffffffn
    for (const byte of data) {
      crc ^= BigInt(byte)
      for (let bit = 0; bit < 8; bit++) crc = (crc >> 1n) ^ (crc & 1n ? 0x82f63b78n : 0n)
    }
    const value = crc ^ 0xffffffffn
    return Number((((value >> 15n) | ((value << 17n) & 0xffffffffn)) + 0xa282ead8n) & 0xffffffffn)
  }
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const records: Fields[] = []
  for (let at = 0; at < file.length; ) {
    const length = Number(view.getBigUint64(at, true))
    expect(view.getUint32(at + 8, true)).toBe(slowCrc(file.subarray(at, at + 8)))
    const data = file.subarray(at + 12, at + 12 + length)
    expect(view.getUint32(at + 12 + length, true)).toBe(slowCrc(data))
    records.push(parseMessage(data))
    at += 16 + length
  }
  return records
}

describe('tensorboardReporter', () => {
  it('knows CRC-32C', () => {
    // The check value of RFC 3720's polynomial.
    expect(crc32c(new TextEncoder().encode('123456789'))).toBe(0xe3069283)
  })

  it('writes records an independent parser reads', async () => {
    await resumedRun()
    const names = (await readdir(folder)).sort()
    expect(names).toHaveLength(2)
    const files = await Promise.all(names.map((name) => readFile(join(folder, name))))
    const [first, second] = files.map(parseRecords) as [Fields[], Fields[]]
    const string = (value: unknown) => new TextDecoder().decode(value as Uint8Array)
    expect(string(first[0]!.get(3)![0])).toBe('brain.Event:2')
    const status = (fields: Fields) => parseMessage(fields.get(7)![0] as Uint8Array).get(1)![0]
    expect([first[1]!.get(2)![0], status(first[1]!)]).toEqual([0, 1])
    expect([second[1]!.get(2)![0], status(second[1]!)]).toEqual([3, 1])
    const values = (fields: Fields) =>
      Object.fromEntries(
        parseMessage(fields.get(5)![0] as Uint8Array)
          .get(1)!
          .map((value) => parseMessage(value as Uint8Array))
          .map((value) => [string(value.get(1)![0]), value.get(2)?.[0]]),
      )
    expect(first.slice(3).map((fields) => [fields.get(2)![0], values(fields)['train/loss']])).toEqual([
      [1, 1],
      [2, 0.5],
      [3, Math.fround(1 / 3)],
    ])
    expect(values(first[3]!)).toMatchObject({ 'train/grad_norm': 0.5, 'train/num_tokens': 1000 })
    expect(values(second[4]!)).toMatchObject({ 'eval/loss': 0.5, 'eval/rouge_l': 0.75, 'train/epoch': 0.5 })
    expect(Date.now() / 1000 - (second[4]!.get(1)![0] as number)).toBeLessThan(60)
  })

  it("is read by TensorBoard's EventAccumulator", async (test) => {
    const { python, reason } = await pythonVenv('tensorboard', ['tensorboard'])
    if (!python) return test.skip(reason)
    await resumedRun()
    const script = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1])
events.Reload()
scalars = {tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
text = events.Tensors("args/text_summary")[0].tensor_proto.string_val[0].decode()
print(json.dumps({"scalars": scalars, "text": text}))`
    const { stdout } = await promisify(execFile)(python, ['-c', script, folder])
    const { scalars, text } = JSON.parse(stdout)
    // Step 3 of the killed run is void.
    expect(scalars['train/loss']).toEqual([
      [1, 1],
      [2, 0.5],
      [3, 0.25],
    ])
    expect(scalars['eval/rouge_l']).toEqual([[3, 0.75]])
    expect(text).toContain('| learningRate | 0.00002 |')
  }, 120_000)
})
