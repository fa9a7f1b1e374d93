import { type TensorReader, tensorValues } from '@tunesmith/hub'
import type { Warn } from './config-file'
import { type ModelConfig, untieHead } from './model-config'

/** Bytes compared at a time. */
const PIECE = 1 << 24

/**
 * Decides whether head and embeddings are one matrix, as transformers 5.18 does: where config.json ties them and the checkpoint holds both
 * with different values, both stay and `config` is changed to say so; where it holds only the head, that is the embeddings too.
 *
 * @returns the checkpoint as it is to be read.
 */
export async function resolveTiedHead(
  config: ModelConfig,
  checkpoint: TensorReader,
  where: string,
  warn: Warn,
): Promise<TensorReader> {
  const [embeddings, head] = [`${config.names.embeddings}.weight`, `${config.names.head}.weight`]
  if (!config.tieWordEmbeddings || !checkpoint.tensors.has(head)) return checkpoint
  if (!checkpoint.tensors.has(embeddings)) return underAnotherName(checkpoint, head, embeddings)
  if (await haveSameValues(checkpoint, head, embeddings)) return checkpoint
  warn(
    `${where}: config.json ties the head to the embeddings, but the checkpoint has a ${head} with other values, which is kept; set tie_word_embeddings to false in config.json`,
  )
  untieHead(config)
  return checkpoint
}

async function haveSameValues(checkpoint: TensorReader, one: string, other: string): Promise<boolean> {
  const [a, b] = [checkpoint.tensors.get(one)!, checkpoint.tensors.get(other)!]
  if (a.shape.join() !== b.shape.join()) return false
  const rows = a.shape[0] ?? 0
  const step = Math.max(1, Math.floor((PIECE * rows) / Math.max(1, a.byteLength)))
  for (let row = 0; row < rows; row += step) {
    const end = Math.min(row + step, rows)
    const [left, right] = await Promise.all([checkpoint.readRows(one, row, end), checkpoint.readRows(other, row, end)])
    if (a.dtype === b.dtype) {
      if (Buffer.compare(left, right) !== 0) return false
      continue
    }
    const wide = tensorValues(right, b.dtype, other)
    if (tensorValues(left, a.dtype, one).some((value, i) => value !== wide[i])) return false
  }
  return true
}

/** The same checkpoint, in which a tensor is found under a second name as well. */
function underAnotherName(checkpoint: TensorReader, name: string, alias: string): TensorReader {
  const nameOf = (wanted: string) => (wanted === alias ? name : wanted)
  return {
    tensors: new Map([...checkpoint.tensors, [alias, checkpoint.tensors.get(name)!]]),
    metadata: checkpoint.metadata,
    read: (wanted) => checkpoint.read(nameOf(wanted)),
    readInto: (wanted, target) => checkpoint.readInto(nameOf(wanted), target),
    readRows: (wanted, start, end) => checkpoint.readRows(nameOf(wanted), start, end),
    close: () => checkpoint.close(),
  }
}
