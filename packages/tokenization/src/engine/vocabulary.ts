import { invalidFile } from '@tunesmith/core'
import type { AddedTokenJson, StepJson } from './tokenizer-json'
import { vocabMap } from './vocab-map'

/** Ids up to this many beyond the number of tokens are kept in a list; a token far beyond costs no more than any other. */
const SLACK = 1 << 16

/** The tokens of a tokenizer.json by id and by text, added ones included. */
export class Vocabulary {
  readonly idOf = new Map<string, number>()
  private readonly tokens: string[] = []
  private readonly far = new Map<number, string>()
  private highest = -1

  /** @param model has been checked. */
  constructor(model: StepJson) {
    const { vocab } = model
    if (Array.isArray(vocab)) for (const [id, [token]] of vocab.entries()) this.set(token, id)
    else for (const [token, id] of vocabMap(vocab)) this.set(token, id)
  }

  /** The highest id plus one. */
  get size(): number {
    return this.highest + 1
  }

  token(id: number): string | undefined {
    return this.tokens[id] ?? this.far.get(id)
  }

  set(token: string, id: number): void {
    this.idOf.set(token, id)
    this.spell(id, token)
  }

  /** How an id is written from now on, which need not be how it is found. */
  spell(id: number, token: string): void {
    if (id > this.highest) this.highest = id
    if (id > this.tokens.length + SLACK) {
      this.far.set(id, token)
      return
    }
    while (this.tokens.length < id) this.tokens.push(undefined as unknown as string)
    this.tokens[id] = token
  }
}

/**
 * Gives added tokens the ids that Rust `tokenizers` gives them: that of the same text in the vocabulary, else the next one,
 * counted from the number of tokens. Where that is another token's already, because the vocabulary has holes, the id of the
 * file is kept.
 *
 * @param added tokens that have been numbered before; the new ones are numbered after them.
 * @param renumbered gets a line for each token whose id is not that of the file.
 * @throws {TunesmithError} `invalid_file` when the file gives one id to two tokens, or one that nothing of its size can reach.
 */
export function numberAddedTokens(
  tokens: readonly AddedTokenJson[],
  added: readonly AddedTokenJson[],
  model: StepJson,
  vocabulary: Vocabulary,
  where: string,
  renumbered: (line: string) => void,
): AddedTokenJson[] {
  const count = Array.isArray(model.vocab) ? model.vocab.length : vocabMap(model.vocab).size
  const last = added.reduce((max, token) => Math.max(max, token.id), -1)
  let next = last >= count ? last + 1 : count
  const byContent = new Map(added.map((token) => [token.content, token]))
  const declared = new Map<number, string>()
  for (const token of tokens) {
    const other = declared.get(token.id) ?? vocabulary.token(token.id)
    if (other !== undefined && other !== token.content && !byContent.has(token.content))
      throw invalidFile(
        `The added token ${JSON.stringify(token.content)} has the id ${token.id} of ${JSON.stringify(other)}`,
        { where },
      )
    declared.set(token.id, token.content)
    if (token.content === '') continue
    const known = byContent.get(token.content)?.id ?? vocabulary.idOf.get(token.content)
    let id = known ?? next
    if (known === undefined && vocabulary.token(id) !== undefined) {
      id = token.id
      if (id > 4 * count + SLACK)
        throw invalidFile(`The added token ${JSON.stringify(token.content)} has the id ${id}, far from all others`, {
          where,
        })
    } else if (known === undefined) next++
    if (id !== token.id) renumbered(`${JSON.stringify(token.content)}: ${id}, not ${token.id}`)
    byContent.set(token.content, { ...token, id })
    vocabulary.set(token.content, id)
  }
  return [...byContent.values()]
}
