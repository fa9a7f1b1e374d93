import type { TokenizedExample } from '@tunesmith/datasets'
import type { Tokenizer } from '@tunesmith/tokenization'
import { corpus, corpusDocument } from './corpus'

const END_OF_DOCUMENT = '<|endoftext|>'

/** A document as token ids; every one of them is learned. */
function tokenize(tokenizer: Tokenizer, text: string): TokenizedExample {
  const { ids } = tokenizer.encode(text + END_OF_DOCUMENT)
  return { inputIds: ids, labels: ids }
}

/** The documents from number `start` on, until they hold `tokens` tokens. */
export function trainingExamples(
  tokenizer: Tokenizer,
  seed: number,
  start: number,
  tokens: number,
): TokenizedExample[] {
  const examples: TokenizedExample[] = []
  let sum = 0
  for (const text of corpus(seed, start)) {
    if (sum >= tokens) break
    const example = tokenize(tokenizer, text)
    sum += example.inputIds.length
    examples.push(example)
  }
  return examples
}

/** `count` documents from number `start` on. */
export function documentExamples(tokenizer: Tokenizer, seed: number, start: number, count: number): TokenizedExample[] {
  return Array.from({ length: count }, (_, i) => tokenize(tokenizer, corpusDocument(seed, start + i)))
}
