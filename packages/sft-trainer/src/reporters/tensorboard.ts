import { appendFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { makeFolder } from '@tunesmith/core'
import type { TrainerCallback } from '../callbacks/events'
import { reportedMetrics } from './metric-names'

/** A protocol buffer's message, written field by field. */
type Message = Uint8Array

function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  bytes.push(rest)
  return bytes
}

const key = (field: number, wireType: number) => varint(field * 8 + wireType)

/** int64 and enum fields; not negative. */
const integer = (field: number, value: number): Message => Uint8Array.from([...key(field, 0), ...varint(value)])

const double = (field: number, value: number): Message =>
  Uint8Array.from([...key(field, 1), ...new Uint8Array(Float64Array.of(value).buffer)])

const float = (field: number, value: number): Message =>
  Uint8Array.from([...key(field, 5), ...new Uint8Array(Float32Array.of(value).buffer)])

const bytes = (field: number, value: Uint8Array): Message =>
  Buffer.concat([Uint8Array.from([...key(field, 2), ...varint(value.length)]), value])

const text = (field: number, value: string): Message => bytes(field, new TextEncoder().encode(value))

const message = (field: number, ...fields: Message[]): Message => bytes(field, Buffer.concat(fields))

// TFRecord files.

const POLYNOMIAL = 0x82f63b78

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1
  return value
})

/** CRC-32C (Castagnoli, RFC 3720). */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 0xff]! ^ (crc >>> 8)
  return (crc ^ 0xffffffff) >>> 0
}

/** A checksum that may itself be checked: rotated right by 15 bits, plus a constant. */
function maskedCrc32c(bytes: Uint8Array): number {
  const crc = crc32c(bytes)
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
}

/** One record of a TFRecord file: length (8 bytes, little-endian), its checksum, the data, its checksum. */
function tfRecord(data: Uint8Array): Uint8Array {
  const record = new Uint8Array(data.length + 16)
  const view = new DataView(record.buffer)
  view.setBigUint64(0, BigInt(data.length), true)
  view.setUint32(8, maskedCrc32c(record.subarray(0, 8)), true)
  record.set(data, 12)
  view.setUint32(12 + data.length, maskedCrc32c(data), true)
  return record
}

// Field numbers of tensorflow's event.proto, summary.proto and tensor.proto.

const event = (wallTime: number, step: number, ...content: Message[]) =>
  Buffer.concat([double(1, wallTime), integer(2, step), ...content])

/** The first record of every file. */
const fileVersion = (wallTime: number): Message => Buffer.concat([double(1, wallTime), text(3, 'brain.Event:2')])

/** Tells readers that training (re)starts at `step`: what older files have from there on is void. */
const sessionStart = (wallTime: number, step: number): Message => event(wallTime, step, message(7, integer(1, 1)))

function scalars(wallTime: number, step: number, values: Record<string, number>): Message {
  const summaries = Object.entries(values).map(([tag, value]) => message(1, text(1, tag), float(2, value)))
  return event(wallTime, step, message(5, ...summaries))
}

/** Markdown, for the text tab: a tensor of one string. */
function markdown(wallTime: number, step: number, tag: string, content: string): Message {
  const DT_STRING = 7
  const tensor = message(8, integer(1, DT_STRING), message(2), text(8, content))
  const metadata = message(9, message(1, text(1, 'text')))
  return event(wallTime, step, message(5, message(1, text(1, `${tag}/text_summary`), tensor, metadata)))
}

/** Writes event files that TensorBoard reads; a resumed training begins a new file in the same folder. */
export function tensorboardReporter(folder: string): TrainerCallback {
  let path: string
  const now = () => Date.now() / 1000
  // One record per call and on disk at once: a killed run loses nothing that was logged.
  const append = (...events: Message[]) => appendFile(path, Buffer.concat(events.map(tfRecord)))
  return {
    async onTrainBegin({ config, resumedStep }) {
      await makeFolder(folder)
      const unique = `${Math.floor(now())}.${hostname()}.${process.pid}.${process.hrtime.bigint()}`
      path = join(folder, `events.out.tfevents.${unique}`)
      const rows = Object.entries(config).map(([key, value]) => `| ${key} | ${JSON.stringify(value)} |`)
      const table = ['| setting | value |', '| --- | --- |', ...rows].join('\n')
      const start = resumedStep === 0 ? 0 : resumedStep + 1
      await append(fileVersion(now()), sessionStart(now(), start), markdown(now(), start, 'args', table))
    },
    onLog: (log) => append(scalars(now(), log.step, reportedMetrics(log))),
    onEvaluate: (log) => append(scalars(now(), log.step, reportedMetrics(log))),
  }
}
