import { incompatible } from '@tunesmith/core'
import type { TensorInfo, TensorReader } from '@tunesmith/hub'
import { architectureOf } from './architectures'
import { OTHER_PARTS, TEXT_PREFIX } from './architectures/text-halves'
import type { ModelConfig } from './model-config'
import type { StoredTensor } from './stored-tensor'

/** What a model remembers of the checkpoint it came from, so that a saved one has the same names and parts. */
export interface CheckpointOrigin {
  folder: string
  /** Where each tensor of the model lies in it, if not under its own name. */
  stored: ReadonlyMap<string, StoredTensor>
  /** Tensors of other halves, which the model does not have. */
  leftOut: readonly string[]
}

/** The checkpoint as the model names its tensors. */
export interface CheckpointView extends CheckpointOrigin {
  reader: TensorReader
}

/** Names of the text half in checkpoints of models of more than text, as versions of transformers before 5 wrote them. */
const WHOLE_RENAMES = [
  [/^language_model\.model\./, TEXT_PREFIX],
  [/^language_model\.lm_head\./, 'lm_head.'],
] as const

/**
 * Looks at a checkpoint through the names of the model: older names, matrices that lie transposed or in pieces, and the tensors of other
 * halves that are left out.
 *
 * @param expected the model's tensors with their shapes; some may be absent.
 * @throws {TunesmithError} `incompatible` for a tensor of which only some pieces are there.
 */
export function viewCheckpoint(
  checkpoint: TensorReader,
  expected: ReadonlyMap<string, readonly number[]>,
  config: ModelConfig,
  folder: string,
): CheckpointView {
  const { renames = [], stored } = architectureOf(config.modelType)
  const isHalf = config.names.layers.startsWith(TEXT_PREFIX)
  const rules = [...renames, ...(isHalf ? WHOLE_RENAMES : [])]
  const nameOf = (name: string) => rules.reduce((changed, [from, to]) => changed.replace(from, to), name)
  /** Our names of the tensors that are there, with theirs. */
  const found = new Map([...checkpoint.tensors.keys()].map((name) => [nameOf(name), name]))
  const views = new Map<string, StoredTensor>()
  const tensors = new Map<string, TensorInfo>()
  const taken = new Set<string>()
  for (const [name, shape] of expected) {
    const asStored = stored?.(name, config)
    checkPieces(name, asStored, found, folder)
    const how = asStored?.parts.every((part) => found.has(part)) ? asStored : { parts: [name] }
    const parts = how.parts.map((part) => found.get(part)!)
    if (parts.some((part) => part === undefined)) continue
    for (const part of how.parts) taken.add(part)
    if (parts.length > 1 || how.transposed || parts[0] !== name) views.set(name, { ...how, parts })
    const infos = parts.map((part) => checkpoint.tensors.get(part)!)
    tensors.set(name, infoOf(infos, how.transposed ?? false, shape))
  }
  const leftOut: string[] = []
  for (const [name, original] of found) {
    if (taken.has(name)) continue
    if (OTHER_PARTS.some((pattern) => pattern.test(original))) leftOut.push(original)
    else tensors.set(name, checkpoint.tensors.get(original)!)
  }
  // What no view covers, like the parts of a quantized weight, only has another name.
  const original = (name: string) => found.get(name) ?? name
  return { folder, stored: views, leftOut, reader: readerOf(checkpoint, tensors, views, original) }
}

/** The first missing piece is the one that helps to find what is wrong. */
function checkPieces(
  name: string,
  stored: StoredTensor | undefined,
  found: ReadonlyMap<string, string>,
  where: string,
): void {
  const missing = stored?.parts.filter((part) => !found.has(part)) ?? []
  if (!stored || missing.length === 0 || missing.length === stored.parts.length) return
  throw incompatible(`Of the ${stored.parts.length} pieces of ${name}, ${missing.length} are missing: ${missing[0]}`, {
    where,
    remedy: 'Check that all files of the checkpoint are there, and that config.json belongs to it',
  })
}

/** Left-out tensors in words, by the part they belong to; undefined where there are none. */
export function describeLeftOut(leftOut: readonly string[]): string | undefined {
  const counts = new Map<string, number>()
  for (const name of leftOut) {
    const part = OTHER_PARTS.map((pattern) => pattern.exec(name)?.[1]).find(Boolean) ?? name
    counts.set(part, (counts.get(part) ?? 0) + 1)
  }
  if (counts.size === 0) return undefined
  const parts = [...counts].map(([part, count]) => `${count} of ${part}`).join(', ')
  return `tensors that are left out, as only text is computed with: ${parts}; a saved model has them again`
}

/** One tensor out of several whose rows follow one another. `file` is empty: it lies in no file as it is. */
function infoOf(parts: readonly TensorInfo[], transposed: boolean, expected: readonly number[]): TensorInfo {
  const [first] = parts as [TensorInfo]
  if (parts.length === 1 && !transposed) return first
  const shape = transposed ? [...first.shape].reverse() : [...first.shape]
  // Pieces of another shape or dtype than the first make no sum that fits, so that the check of shapes names the tensor.
  const alike = parts.every(({ dtype, shape }) => dtype === first.dtype && shape.join() === first.shape.join())
  shape[0] = alike ? shape[0]! * parts.length : 0
  const isStack = expected.length === 3 && shape.length === 2 && shape[0] === expected[0]! * expected[1]!
  if (isStack) shape.splice(0, 1, expected[0]!, expected[1]!)
  const byteLength = parts.reduce((sum, part) => sum + part.byteLength, 0)
  return { ...first, shape, byteLength, file: '', offset: 0 }
}

function readerOf(
  checkpoint: TensorReader,
  tensors: ReadonlyMap<string, TensorInfo>,
  views: ReadonlyMap<string, StoredTensor>,
  original: (name: string) => string,
): TensorReader {
  const readInto = async (name: string, target: ArrayBufferView): Promise<void> => {
    const { parts, transposed } = views.get(name) ?? { parts: [original(name)] }
    const bytes = new Uint8Array(target.buffer, target.byteOffset, target.byteLength)
    let at = 0
    for (const part of parts) {
      const { byteLength, shape } = checkpoint.tensors.get(part)!
      const into = bytes.subarray(at, at + byteLength)
      if (transposed) into.set(transposeBytes(await checkpoint.read(part), shape[0]!, shape[1]!))
      else await checkpoint.readInto(part, into)
      at += byteLength
    }
  }
  const read = async (name: string): Promise<Uint8Array> => {
    if (!views.has(name)) return checkpoint.read(original(name))
    const bytes = new Uint8Array(tensors.get(name)!.byteLength)
    await readInto(name, bytes)
    return bytes
  }
  return {
    tensors,
    metadata: checkpoint.metadata,
    read,
    readInto,
    async readRows(name, start, end) {
      const view = views.get(name)
      if (!view || (view.parts.length === 1 && !view.transposed))
        return checkpoint.readRows(view?.parts[0] ?? original(name), start, end)
      const bytes = await read(name)
      const row = bytes.byteLength / Math.max(1, tensors.get(name)!.shape[0]!)
      return bytes.subarray(start * row, end * row)
    },
    close: () => checkpoint.close(),
  }
}

/** The bytes of a matrix `[rows, columns]` with rows and columns exchanged, whatever its elements' size. */
export function transposeBytes(bytes: Uint8Array, rows: number, columns: number): Uint8Array {
  const size = bytes.byteLength / Math.max(1, rows * columns)
  const Elements = size === 4 ? Uint32Array : size === 2 ? Uint16Array : Uint8Array
  const from = new Elements(bytes.slice().buffer)
  const to = new Elements(from.length)
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) to[column * rows + row] = from[row * columns + column]!
  return new Uint8Array(to.buffer)
}
