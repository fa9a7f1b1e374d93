import type { TokenizedExample } from '@tunesmith/datasets'
import type { Tokenizer } from '@tunesmith/tokenization'

const END_OF_DOCUMENT = '<|endoftext|>'

/** Documents `start` to `start + count` as token ids; every one of them is learned. */
export function tokenizeDocuments(
  tokenizer: Tokenizer,
  write: (index: number) => string,
  { start = 0, count }: { start?: number; count: number },
): TokenizedExample[] {
  return Array.from({ length: count }, (_, i) => {
    const { ids } = tokenizer.encode(write(start + i) + END_OF_DOCUMENT)
    return { inputIds: ids, labels: ids }
  })
}
