import { incompatible, invalidOptions, type Message, parseOptions, type TunesmithError } from '@tunesmith/core'
import { resolveModelFolder } from '@tunesmith/hub'
import { z } from 'zod'
import { wellFormed } from './batch/chunks'
import { type BatchOptions, BatchRunner, type ThreadData } from './batch/runner'
import { endOfTurnTexts } from './chat/end-of-turn'
import { refuseUnsupportedTemplate } from './chat/jinja/run'
import { type ChatOptions, chatOptions } from './chat/options'
import { renderTemplate } from './chat/render'
import { type RenderedChat, renderChat } from './chat/render-chat'
import { cleanUpSpaces } from './clean-up'
import { DecodeStream } from './decode-stream'
import { Encoding } from './encoding'
import { createEngine } from './engine/create'
import { compileDecoder } from './engine/decoder'
import type { Engine } from './engine/engine'
import { compilePostProcessors, type Frame, type PostProcessor } from './engine/post-process'
import type { Loading } from './engine/read-step'
import type { AddedTokenJson, TokenizerJson } from './engine/tokenizer-json'
import { trimOffsets } from './engine/trim-offsets'
import { once } from './engine/unicode/tables'
import { IdBuffer } from './engine/units'
import { numberAddedTokens, Vocabulary } from './engine/vocabulary'
import { checkTokenizerJson } from './files/check'
import { loadTokenizerFiles, templatesOf } from './files/load'
import { saveTokenizer } from './files/save'
import { addedTokensOf, readSpecialTokens, type SpecialTokenRole, type SpecialTokens } from './files/special-tokens'
import { cutByFile, paddedLength } from './limits'
import * as options from './tokenizer-options'
import type { TokenizerState } from './tokenizer-state'

/**
 * Text to ids and back, as the Hugging Face tokenizer of the same files does it, and its chat template.
 *
 * ```ts
 * const tokenizer = await Tokenizer.fromPretrained('./my-model')
 * const { ids } = tokenizer.encode('Hello there')
 * tokenizer.decode(ids)
 * ```
 */
export class Tokenizer implements TokenizerState {
  readonly json: TokenizerJson
  readonly config: Record<string, unknown>
  readonly chatTemplates: Record<string, string>
  readonly specialTokens: SpecialTokens
  readonly where: string
  /** Runs work on many texts or rows in threads. @internal */
  readonly batch: BatchRunner
  private readonly engine: Engine
  private readonly decodeTokens: (tokens: string[]) => string
  private readonly postProcessor: PostProcessor
  private readonly vocabulary: Vocabulary
  private readonly fileLimits: boolean
  /** What special tokens spell: the original leaves out by text, not by id. */
  private specialTexts = new Set<string>()
  private turnEnd: { key: string; tokens: string[] } | undefined
  private readonly scratch = new IdBuffer()

  constructor(input: options.TokenizerOptions) {
    const given = parseOptions(options.tokenizerOptions, input, 'Tokenizer')
    this.where = given.where
    this.json = checkTokenizerJson(given.tokenizerJson, given.where)
    this.config = given.config
    this.chatTemplates = templatesOf(given.chatTemplate ?? given.config.chat_template)
    for (const [name, template] of Object.entries(this.chatTemplates))
      refuseUnsupportedTemplate(template, `${given.where}: chat template "${name}"`)
    this.fileLimits = given.fileLimits
    this.vocabulary = new Vocabulary(this.json.model)
    const renumbered: string[] = []
    for (const tokens of [this.json.added_tokens, addedTokensOf(this.config, this.json.added_tokens, given.where)])
      this.json.added_tokens = this.number(
        tokens,
        tokens === this.json.added_tokens ? [] : this.json.added_tokens,
        renumbered,
      )
    const loading: Loading = { where: given.where, unknownKeys: unknownKeys(given.tokenizerJson) }
    this.engine = createEngine(this.json, (id) => this.vocabulary.token(id), given.fastEngine, loading)
    this.batch = new BatchRunner(() => this.threadData(given))
    this.decodeTokens = compileDecoder(this.json.decoder, loading)
    this.postProcessor = compilePostProcessors(this.json.post_processor, loading)
    report(given.where, loading.unknownKeys, renumbered)
    this.specialTokens = readSpecialTokens(this.config, given.specialTokensMap)
    this.settleUnknown(given.unknownSpecialTokens)
    this.refreshAddedTokens()
  }

  /**
   * Loads a tokenizer from a folder, or from the Hugging Face Hub (`owner/name`).
   *
   * @throws {TunesmithError} `not_found`, `invalid_file`, or `incompatible` when the config names a special token that
   *   the vocabulary does not have.
   */
  static async fromPretrained(idOrFolder: string, input: options.FromPretrainedOptions = {}): Promise<Tokenizer> {
    const { revision, ...rest } = parseOptions(options.fromPretrainedOptions, input, 'Tokenizer.fromPretrained')
    const files = await loadTokenizerFiles(
      await resolveModelFolder(idOrFolder, { allowPatterns: FILES, ...(revision === undefined ? {} : { revision }) }),
    )
    return new Tokenizer({
      tokenizerJson: files.tokenizerJson as unknown as Record<string, unknown>,
      jsonBytes: files.jsonBytes,
      config: files.config,
      specialTokensMap: files.specialTokensMap,
      chatTemplate: files.chatTemplates,
      where: files.where,
      ...rest,
    })
  }

  /**
   * Which engine encodes: `bpe` and `general` are our own, the fast one and the one for everything else; `library` is
   * `@huggingface/tokenizers`. With the `reason` why it is not the fast one.
   */
  get engineInfo(): { name: 'bpe' | 'general' | 'library'; reason?: string } {
    const { name, reason } = this.engine
    return reason === undefined ? { name } : { name, reason }
  }

  /** The rows an embedding needs for this tokenizer: the highest id plus one. */
  get vocabSize(): number {
    return this.vocabulary.size
  }

  /** The id of a token's text, or undefined. */
  tokenToId(token: string): number | undefined {
    return this.vocabulary.idOf.get(token)
  }

  /** The text of an id as the vocabulary spells it, or undefined. */
  idToToken(id: number): string | undefined {
    return this.vocabulary.token(id)
  }

  /** Whether `skipSpecialTokens` leaves this id out. */
  isSpecial(id: number): boolean {
    return this.specialTexts.has(this.vocabulary.token(id) ?? '')
  }

  get bosToken(): string | undefined {
    return this.specialTokens.roles.bos_token
  }
  get eosToken(): string | undefined {
    return this.specialTokens.roles.eos_token
  }
  get padToken(): string | undefined {
    return this.specialTokens.roles.pad_token
  }
  get unkToken(): string | undefined {
    return this.specialTokens.roles.unk_token
  }
  get bosTokenId(): number | undefined {
    return this.roleId('bos_token')
  }
  get eosTokenId(): number | undefined {
    return this.roleId('eos_token')
  }
  get padTokenId(): number | undefined {
    return this.roleId('pad_token')
  }
  get unkTokenId(): number | undefined {
    return this.roleId('unk_token')
  }

  /** The chat template in use, or undefined. */
  get chatTemplate(): string | undefined {
    return this.chatTemplates.default
  }
  set chatTemplate(template: string | undefined) {
    if (template === undefined) delete this.chatTemplates.default
    else this.chatTemplates.default = template
  }

  /** Gives a role to a token of the vocabulary, for example `setSpecialToken('pad_token', '<|pad|>')`. */
  setSpecialToken(role: SpecialTokenRole, token: string): void {
    if (!this.vocabulary.idOf.has(token)) throw unknownToken(role, token, this.where)
    this.specialTokens.roles[role] = token
    this.refreshSpecials()
  }

  /**
   * Turns text into ids.
   *
   * @returns ids, and lazily the range of the text each one stands for.
   */
  encode(text: string, input?: options.EncodeOptions): Encoding {
    const given = input ? parseOptions(options.encodeOptions, input, 'encode') : ENCODE_DEFAULTS
    this.scratch.length = 0
    this.engine.encode(wellFormed(text), this.scratch)
    const content = this.scratch.toArray()
    return this.finish(() => content, content.length, text, given, content.length)
  }

  /**
   * Turns many texts into ids; the order is that of `texts`. A large amount of text is shared out to worker threads, which
   * stay some seconds for the next call (`close` ends them; they never keep a program from ending).
   */
  async encodeBatch(texts: readonly string[], input: options.EncodeBatchOptions = {}): Promise<Encoding[]> {
    const { threads, ...given } = parseOptions(options.encodeBatchOptions, input, 'encodeBatch')
    const encodings = new Array<Encoding>(texts.length)
    const contents: { read: () => number[]; length: number }[] = new Array(texts.length)
    let longest = 0
    for (const { first, result } of await this.encodeChunks(texts, { threads })) {
      const { ids, ends } = result
      for (let i = 0; i < ends.length; i++) {
        const [start, end] = [i === 0 ? 0 : ends[i - 1]!, ends[i]!]
        contents[first + i] = { read: () => Array.from(ids.subarray(start, end)), length: end - start }
        longest = Math.max(longest, end - start)
      }
    }
    for (const [i, { read, length }] of contents.entries())
      encodings[i] = this.finish(read, length, texts[i]!, given, longest)
    return encodings
  }

  /** The number of tokens in each text, without special tokens; worked out as {@link encodeBatch} does it. */
  async countTokens(texts: readonly string[], batch: BatchOptions = {}): Promise<number[]> {
    const parts = await this.encodeChunks(texts, batch)
    return parts.flatMap(({ result: { ends } }) => Array.from(ends, (end, i) => end - (i === 0 ? 0 : ends[i - 1]!)))
  }

  /** The ids of some texts end to end, without special tokens; those of text i lie before `ends[i]`. @internal */
  encodeChunk(texts: readonly string[]): { ids: Int32Array; ends: Int32Array } {
    const out = new IdBuffer()
    const ends = new Int32Array(texts.length)
    for (const [i, text] of texts.entries()) {
      this.engine.encode(wellFormed(text), out)
      ends[i] = out.length
    }
    return { ids: out.ids.slice(0, out.length), ends }
  }

  private encodeChunks(texts: readonly string[], batch: BatchOptions) {
    return this.batch.run({ kind: 'encode', here: (chunk: readonly string[]) => this.encodeChunk(chunk) }, texts, batch)
  }

  /** Ends the threads that work on many texts or rows may have started. */
  async close(): Promise<void> {
    await this.batch.close()
  }

  /**
   * The ids of text that goes on from other text: no special tokens, and no marker of a text's beginning (the space that
   * SentencePiece puts in front of a first word).
   */
  encodeContinuation(text: string): number[] {
    this.scratch.length = 0
    this.engine.encode(wellFormed(text), this.scratch, true)
    return this.scratch.toArray()
  }

  /** The special tokens that `encode` puts before and after a text. */
  get framing(): { before: readonly number[]; after: readonly number[] } {
    return this.postProcessor.frame
  }

  /** Turns ids into text. Ids outside the vocabulary are left out, as the original does. */
  decode(ids: ArrayLike<number>, input?: options.DecodeOptions): string {
    const given = input ? parseOptions(options.decodeOptions, input, 'decode') : DECODE_DEFAULTS
    const text = this.decodeIds(ids, given.skipSpecialTokens)
    return given.cleanUpTokenizationSpaces ? cleanUpSpaces(text) : text
  }

  /** A decoder for ids that arrive one by one, as a model writes them. */
  decodeStream(input: options.DecodeOptions = {}): DecodeStream {
    const { skipSpecialTokens } = parseOptions(options.decodeOptions, input, 'decodeStream')
    return new DecodeStream((ids) => this.decodeIds(ids, skipSpecialTokens))
  }

  /**
   * Adds tokens; those the vocabulary has already only change how they are matched.
   *
   * @returns how many ids are new, and the rows the model's embedding needs from now on: when `added` is not 0, resize it.
   */
  addTokens(input: readonly options.NewToken[]): { added: number; vocabSize: number } {
    const tokens = parseOptions(z.array(options.newToken), input, 'addTokens')
    const before = this.vocabSize
    let next = before
    const added = tokens.map((token): AddedTokenJson => {
      const given = typeof token === 'string' ? options.addedToken.parse({ content: token }) : token
      const { content, special, singleWord, lstrip, rstrip, normalized } = given
      const id = this.vocabulary.idOf.get(content) ?? next++
      return { id, content, single_word: singleWord, lstrip, rstrip, normalized: normalized ?? !special, special }
    })
    this.json.added_tokens = this.number(added, this.json.added_tokens, []).sort((a, b) => a.id - b.id)
    this.refreshAddedTokens()
    return { added: this.vocabSize - before, vocabSize: this.vocabSize }
  }

  /** Writes tokenizer.json, tokenizer_config.json, special_tokens_map.json and the chat template to a folder. */
  async save(folder: string): Promise<void> {
    await saveTokenizer(this, folder)
  }

  /** The text of a conversation under the chat template. See {@link ChatOptions}. */
  applyChatTemplate(messages: readonly Message[], input: ChatOptions = {}): string {
    return renderTemplate(this, messages, parseOptions(chatOptions, input, 'applyChatTemplate')).text
  }

  /** The text of a conversation, its ids, and which of them the assistant wrote. */
  renderChat(messages: readonly Message[], input: ChatOptions = {}): RenderedChat {
    return renderChat(this, messages, parseOptions(chatOptions, input, 'renderChat'))
  }

  /**
   * The tokens that a chat template ends a turn of the assistant with, an answer or a call of a tool: a model that was
   * trained on conversations stops there, whatever its EOS token is. Without a template there are none.
   *
   * @returns their texts, and the ids of those that the vocabulary has.
   */
  endOfTurn(input: ChatOptions = {}): { tokens: string[]; ids: number[] } {
    const given = parseOptions(chatOptions, input, 'endOfTurn')
    if (given.template === undefined && this.chatTemplate === undefined) return { tokens: [], ids: [] }
    // Every answer asks; the key is all that the texts depend on where no variables are given.
    const key = [
      given.template,
      ...Object.values(this.chatTemplates),
      this.eosToken,
      this.json.added_tokens.length,
      this.specialTexts.size,
    ].join('\0')
    if (Object.keys(input).some((name) => name !== 'template')) return this.withIds(endOfTurnTexts(this, given))
    if (this.turnEnd?.key !== key) this.turnEnd = { key, tokens: endOfTurnTexts(this, given) }
    return this.withIds(this.turnEnd.tokens)
  }

  private withIds(tokens: readonly string[]): { tokens: string[]; ids: number[] } {
    return {
      tokens: [...tokens],
      ids: tokens.map((token) => this.vocabulary.idOf.get(token)).filter((id) => id !== undefined),
    }
  }

  /** The tokenizer that a thread makes for itself, the same as that of `data`. @internal */
  static inThread({ state, jsonBytes, fastEngine, fileLimits }: ThreadData): Tokenizer {
    const { config, chatTemplates: chatTemplate, where } = state
    const json = jsonBytes ? { ...JSON.parse(Buffer.from(jsonBytes).toString()), ...state.json } : state.json
    const tokenizer = new Tokenizer({
      ...{ tokenizerJson: json, config, chatTemplate, where, fastEngine, fileLimits },
      unknownSpecialTokens: 'ignore',
    })
    Object.assign(tokenizer.specialTokens, state.specialTokens)
    return tokenizer
  }

  private threadData({ jsonBytes, fastEngine, fileLimits }: options.ParsedTokenizerOptions): ThreadData {
    const { json, config, chatTemplates, specialTokens, where } = this
    // The vocabulary comes from the bytes, where there are any; only the added tokens can have changed since.
    const changed = (jsonBytes ? { added_tokens: json.added_tokens } : json) as TokenizerJson
    return { state: { json: changed, config, chatTemplates, specialTokens, where }, jsonBytes, fastEngine, fileLimits }
  }

  private decodeIds(ids: ArrayLike<number>, skipSpecial: boolean): string {
    const tokens: string[] = []
    for (let i = 0; i < ids.length; i++) {
      const token = this.vocabulary.token(ids[i]!)
      if (token !== undefined && !(skipSpecial && this.specialTexts.has(token))) tokens.push(token)
    }
    return this.decodeTokens(tokens)
  }

  /** Truncates, adds the special tokens, pads. `content` has `length` ids, and the longest text of the batch `longest`. */
  private finish(
    content: () => number[],
    length: number,
    text: string,
    given: options.ParsedEncodeOptions,
    longest: number,
  ): Encoding {
    const { before, after } = given.addSpecialTokens ? this.postProcessor.frame : NO_FRAME
    const specials = before.length + after.length
    const kept = (all: number) => this.cut(all, specials, given).kept
    const { left } = this.cut(length, specials, given)
    const total = kept(length) + specials
    const padding = this.paddingOf(kept(longest) + specials, given)
    const missing = Math.max(0, padding.to - total)
    const cut = <T>(list: T[]): T[] => {
      const count = total - specials
      if (count === list.length) return list
      return left ? list.slice(list.length - count) : list.slice(0, count)
    }
    const placed = once(() => this.engine.encodeWithOffsets(wellFormed(text), new IdBuffer()))
    const nowhere = (ids: readonly number[]) => ids.map((): [number, number] => [0, 0])
    const spans = () => [...nowhere(before), ...cut(placed().offsets), ...nowhere(after)]
    const trim = (all: [number, number][]) => {
      if (this.postProcessor.trims.length === 0) return all
      const ids = cut(content())
      const texts = cut(Array.from({ length }, (_, i) => placed().texts[i]))
      return all.map((span, i) => {
        const at = i - before.length
        if (at < 0 || at >= ids.length) return span
        const token = texts[at] ?? this.vocabulary.token(ids[at]!) ?? ''
        return this.postProcessor.trims.reduce(
          (now, step) => trimOffsets(now, token, text, at + step.index, step),
          span,
        )
      })
    }
    return new Encoding(
      () => (specials === 0 ? cut(content()) : [...before, ...cut(content()), ...after]),
      spans,
      trim,
      { left: padding.left ? missing : 0, right: padding.left ? 0 : missing, id: missing > 0 ? padding.id() : 0 },
    )
  }

  /** How many of `length` ids are left, by the options or else by the file. */
  private cut(length: number, specials: number, given: options.ParsedEncodeOptions): { kept: number; left: boolean } {
    const { truncation } = this.json
    if (given.maxLength === undefined && this.fileLimits && truncation)
      return cutByFile(truncation, length, given.addSpecialTokens ? this.postProcessor.added : 0, this.where)
    const room = given.maxLength === undefined ? length : given.maxLength - specials
    const left = (given.truncationSide ?? this.config.truncation_side) === 'left'
    return { kept: Math.max(0, Math.min(length, room)), left }
  }

  /** Up to which length, on which side and with which id a text is filled up, by the options or else by the file. */
  private paddingOf(longest: number, given: options.ParsedEncodeOptions): { to: number; left: boolean; id(): number } {
    const { padding } = this.json
    if (given.padding === undefined && this.fileLimits && padding)
      return { to: paddedLength(padding, longest), left: padding.direction === 'Left', id: () => padding.pad_id }
    const left = (given.paddingSide ?? this.config.padding_side) === 'left'
    const to = given.padding === 'longest' ? longest : given.padding === 'maxLength' ? (given.maxLength ?? 0) : 0
    return { to, left, id: () => this.needPad() }
  }

  private needPad(): number {
    const id = this.padTokenId
    if (id === undefined)
      throw invalidOptions('Padding was asked for, but the tokenizer has no padding token', {
        where: this.where,
        remedy: "Choose one with tokenizer.setSpecialToken('pad_token', ...)",
      })
    return id
  }

  private roleId(role: SpecialTokenRole): number | undefined {
    const token = this.specialTokens.roles[role]
    return token === undefined ? undefined : this.vocabulary.idOf.get(token)
  }

  private number(tokens: readonly AddedTokenJson[], before: AddedTokenJson[], renumbered: string[]): AddedTokenJson[] {
    const say = (line: string) => void renumbered.push(line)
    return numberAddedTokens(tokens, before, this.json.model, this.vocabulary, this.where, say)
  }

  private settleUnknown(policy: 'error' | 'add' | 'ignore'): void {
    const { roles, additional } = this.specialTokens
    const others = additional.map((token): [string, string] => ['additional_special_tokens', token])
    for (const [role, token] of [...(Object.entries(roles) as [string, string][]), ...others]) {
      if (this.vocabulary.idOf.has(token)) continue
      if (policy === 'error') throw unknownToken(role, token, this.where)
      if (policy === 'add') this.addTokens([{ content: token, special: true }])
      else delete roles[role as SpecialTokenRole]
    }
  }

  private refreshAddedTokens(): void {
    this.engine.setAddedTokens(this.json.added_tokens)
    // Rust tokenizers spells a token that is matched after normalization in its normalized form.
    for (const token of this.json.added_tokens)
      if (token.normalized) this.vocabulary.spell(token.id, this.engine.normalizeToken(token.content))
    this.refreshSpecials()
  }

  private refreshSpecials(): void {
    this.specialTexts = new Set(this.json.added_tokens.filter(({ special }) => special).map(({ content }) => content))
  }
}

/** What to fetch of a model on the Hub. */
const FILES = ['tokenizer*.json', 'special_tokens_map.json', 'chat_template*', 'additional_chat_templates/*']
const NO_FRAME: Frame = { before: [], after: [] }
const ENCODE_DEFAULTS = options.encodeOptions.parse({})
const DECODE_DEFAULTS = options.decodeOptions.parse({})

function unknownToken(role: string, token: string, where: string): TunesmithError {
  return incompatible(`${role} is ${JSON.stringify(token)}, which is not in the vocabulary`, {
    where,
    remedy: "Correct the config, or load with unknownSpecialTokens: 'add' and resize the model's embedding",
  })
}

/** The parts of a tokenizer.json. Rust `tokenizers` passes over any other. */
const PARTS = [
  'version',
  'truncation',
  'padding',
  'added_tokens',
  'normalizer',
  'pre_tokenizer',
  'post_processor',
  'decoder',
  'model',
]

function unknownKeys(json: Record<string, unknown>): string[] {
  return Object.keys(json).filter((key) => !PARTS.includes(key))
}

/** One warning for what was read in another way than the file may have meant it. */
function report(where: string, unknownKeys: readonly string[], renumbered: readonly string[]): void {
  const list = (lines: readonly string[]) => lines.slice(0, 5).join(', ') + (lines.length > 5 ? ', ...' : '')
  const lines: string[] = []
  if (unknownKeys.length > 0) lines.push(`nothing reads ${list(unknownKeys)}`)
  if (renumbered.length > 0)
    lines.push(`added tokens have the ids that Rust tokenizers gives them (${list(renumbered)})`)
  if (lines.length > 0) process.emitWarning(`${where}: ${lines.join('; ')}`, 'TunesmithWarning')
}
