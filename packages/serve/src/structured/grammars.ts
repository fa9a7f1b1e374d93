import { TunesmithError } from '@tunesmith/core'
import { type CausalLM, endTokens, type TokenMask } from '@tunesmith/models'
import type { Tokenizer } from '@tunesmith/tokenization'
import { badRequest } from '../errors'
import { checkSchema } from './check-schema'
import { trySchema } from './try-schema'
import { BETWEEN, behind, bytesOf, continues, isPart, type Within } from './utf8'
import { type Compiled, type Compiler, compileSchema, loadXGrammar, makeCompiler, type TokenTable } from './xgrammar'

/** Grammars that are kept. */
const KEPT = 64
/** New schemas that wait to be tried. */
const MOST_WAITING = 32

/** A mask that follows one answer. */
export interface Following {
  mask: TokenMask
  /** When the answer is over. */
  release(): void
}

interface KnownTable extends TokenTable {
  /** Ids of tokens that begin inside of a character. */
  continuing: readonly number[]
}

/** Bytes below 32: as byte-level tokens write them, as SentencePiece's do, and as they are. */
const CONTROL = /[\u0100-\u011f]/
const CONTROL_PIECE = /\p{Cc}|^<0x[01][0-9A-F]>$/u

/**
 * The tokens as they are written in the tokenizer's file; special ones are none that an answer is made of, nor those with control
 * characters: compact JSON has none, and the library's strings of a given length would take them.
 *
 * @throws {RequestError} 400 for a tokenizer whose tokens are neither bytes nor pieces of SentencePiece.
 */
function tableOf(model: CausalLM, tokenizer: Tokenizer): KnownTable {
  const { decoder, model: rules } = tokenizer.json as unknown as {
    decoder: { type: string; decoders?: { type: string }[] } | null
    model: { byte_fallback?: boolean }
  }
  const steps = [decoder, ...(decoder?.decoders ?? [])].map((step) => step?.type)
  const type = steps.includes('ByteLevel') ? 'byte_level' : rules.byte_fallback ? 'byte_fallback' : undefined
  if (type === undefined)
    throw badRequest("This model's tokenizer does not say which bytes its tokens are", 'unsupported_model', 'model')
  const size = model.config.vocabSize
  const added = new Set((tokenizer.json.added_tokens as { id: number }[]).map(({ id }) => id))
  const control = type === 'byte_level' ? CONTROL : CONTROL_PIECE
  const tokens = Array.from({ length: Math.min(size, tokenizer.vocabSize) }, (_, id) => {
    const token = tokenizer.idToToken(id) ?? ''
    const odd = added.has(id) || tokenizer.isSpecial(id) || control.test(token) || !isPart(bytesOf(token, type))
    return odd ? '' : token
  })
  const continuing = [...tokens.keys()].filter((id) => continues(bytesOf(tokens[id]!, type)))
  return { tokens, type, size, continuing }
}

/** Inside of a character, a token must go on with it as UTF-8 does. */
function keepCharacters(mask: Int32Array, { tokens, type, continuing }: KnownTable, within: Within): void {
  for (const id of continuing) if (!behind(within, bytesOf(tokens[id]!, type))) mask[id >> 5]! &= ~(1 << (id & 31))
}

/** Grammars of JSON schemas for a model's tokens, made once each. */
export class Grammars {
  readonly #model: CausalLM
  readonly #tokenizer: Tokenizer
  /** Trials come one after the other: each takes a core. */
  #trial: Promise<unknown> = Promise.resolve()
  #waiting = 0
  readonly #made = new Map<string, Promise<Compiled>>()
  #lasting:
    | Promise<{ library: Awaited<ReturnType<typeof loadXGrammar>>; compiler: Compiler; table: KnownTable }>
    | undefined

  constructor(model: CausalLM, tokenizer: Tokenizer) {
    this.#model = model
    this.#tokenizer = tokenizer
  }

  async #start() {
    const table = tableOf(this.#model, this.#tokenizer)
    const library = await loadXGrammar()
    return { library, compiler: await makeCompiler(library, table), table }
  }

  /**
   * A mask that lets an answer be nothing but what the schema says, and end when that is whole.
   *
   * @throws {RequestError} 400 for a schema that could not be kept word for word, or a model that cannot be held to one.
   */
  async follow(schema: unknown, where: string): Promise<() => Promise<Following>> {
    const text = JSON.stringify(checkSchema(schema, where))
    const stops = endTokens(this.#model, this.#tokenizer)
    if (stops.length === 0)
      throw badRequest(
        'This model has no token that ends an answer, so none could end in time',
        'unsupported_model',
        'model',
      )
    this.#lasting ??= this.#start()
    this.#lasting.catch(() => {
      this.#lasting = undefined
    })
    const { library, table } = await this.#lasting
    const compiled = await this.#compiled(text, where)
    return async () => {
      const matcher = await library.GrammarMatcher.createGrammarMatcher(compiled, stops)
      let read = 0
      let done = false
      let within = BETWEEN
      return {
        mask(answer) {
          for (; read < answer.length; read++) {
            if (!matcher.acceptToken(answer[read]!)) throw new Error('The answer left its grammar')
            within = behind(within, bytesOf(table.tokens[answer[read]!] ?? '', table.type)) ?? BETWEEN
          }
          const words = matcher.handle.GetNextTokenBitmask(matcher.vocab_size)
          const mask = Int32Array.from({ length: words.size() }, (_, i) => words.get(i))
          words.delete()
          if (within.missing > 0) keepCharacters(mask, table, within)
          return mask
        },
        release() {
          if (!done) matcher.dispose()
          done = true
        },
      }
    }
  }

  async #compiled(text: string, where: string): Promise<Compiled> {
    const { compiler, table } = await this.#lasting!
    const known = this.#made.get(text)
    const made =
      known ??
      (async () => {
        await this.#tried(() => trySchema(text, table, where))
        return compileSchema(compiler, text)
      })()
    // The one used last is the last of the map.
    this.#made.delete(text)
    this.#made.set(text, made)
    made.catch(() => this.#made.delete(text))
    // Not disposed of: an answer may follow it still. The garbage of the library's own memory is what its least used grammars take.
    if (this.#made.size > KEPT) this.#made.delete(this.#made.keys().next().value!)
    return made
  }

  async #tried(trial: () => Promise<void>): Promise<void> {
    if (this.#waiting >= MOST_WAITING)
      throw new TunesmithError(`${this.#waiting} new schemas are waiting already`, {
        code: 'busy',
        remedy: 'Try again later',
      })
    this.#waiting++
    const done = this.#trial.then(trial)
    this.#trial = done.catch(() => undefined)
    try {
      await done
    } finally {
      this.#waiting--
    }
  }
}
