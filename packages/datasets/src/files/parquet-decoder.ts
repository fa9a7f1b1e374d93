import { fileURLToPath } from 'node:url'
import { DecoderProcess, ProcessStopped } from './decoder-process'

// Beside this file in the sources, and beside the bundle in the published package.
const PROCESS = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './parquet-process.mjs' : './parquet-process.js', import.meta.url),
)

/**
 * Milliseconds of computing after which a file is damaged: decoding runs at tens of megabytes a second. What a row group
 * says of its decoded size counts as far as the best codecs could have made a file of this size of it.
 */
const timeLimit = (bytes: number, decoded = 0) => 1200 + bytes / 500 + Math.min(decoded, 1000 * bytes) / 20_000
/** What a damaged file may ask for before it is stopped; sound ones stay far below. In megabytes. */
const memoryLimit = (bytes: number) => 1024 + Math.ceil((32 * bytes) / 2 ** 20)

/** The decoder ran away and was stopped. */
export class DecoderStopped extends Error {}

/** The values of a column, or its different values and the number of each row's. */
export type ColumnValues = unknown[] | { dictionary: unknown[]; indices: Uint32Array }

/** Where a column's values hold what is not in the values themselves: floating-point numbers, JSON, an order of fields. */
export type ValueShape =
  | { float: true }
  | { json: true }
  | { list: ValueShape }
  | { pair: [key: ValueShape | undefined, value: ValueShape | undefined] }
  | { fields: Record<string, ValueShape>; keys?: string[] }

export interface ParquetColumn {
  name: string
  shape?: ValueShape
}

/** A process that decodes one Parquet file at a time. */
export interface ParquetDecoder {
  /** The columns, and the rows and decoded bytes of each row group. */
  open(path: string): Promise<{ columns: ParquetColumn[]; groups: { rows: number; bytes: number }[] }>
  /** The values of the columns in one row group, of so many decoded bytes. */
  read(group: number, columns: string[], decoded: number): Promise<ColumnValues[]>
  close(): Promise<void>
}

interface Decoder {
  process: DecoderProcess
  megabytes: number
}

/** Starting a process takes longer than reading a small file, so one is kept for the next file. */
let idle: Decoder | undefined

function takeDecoder(megabytes: number): Decoder {
  const kept = idle
  if (!kept || kept.megabytes < megabytes || kept.process.ended)
    return { process: new DecoderProcess(PROCESS, { megabytes }), megabytes }
  idle = undefined
  return kept
}

const REASONS = {
  time: 'decoding does not come to an end',
  memory: 'it asks for too much memory',
  ended: 'the decoder ended',
}

/** A decoder for a file of this many bytes; `close` gives its process back. */
export function leaseDecoder(bytes: number): ParquetDecoder {
  const decoder = takeDecoder(memoryLimit(bytes))
  const run = <Result>(job: object, milliseconds: number) =>
    decoder.process.run<Result>(job, milliseconds).catch((error: unknown) => {
      throw error instanceof ProcessStopped ? new DecoderStopped(REASONS[error.reason]) : error
    })
  return {
    open: (path) => run({ path }, timeLimit(bytes)),
    read: (group, columns, decoded) => run({ group, columns }, timeLimit(bytes, decoded)),
    async close() {
      // What is still being read ahead is wanted by nobody, and a damaged file may take its whole time.
      if (!decoder.process.busy) await run({ close: true }, timeLimit(0)).catch(() => decoder.process.close())
      if (idle || decoder.process.busy) decoder.process.close()
      else if (!decoder.process.ended) idle = decoder
    },
  }
}
