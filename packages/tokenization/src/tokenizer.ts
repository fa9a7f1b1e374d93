import { type Message, parseOptions, TunesmithError } from '@tunesmith/core'
import { resolveModelFolder } from '@tunesmith/hub'
import { z } from 'zod'
import { wellFormed } from './batch/chunks'
import { type BatchOptions, BatchRunner, type ThreadData } from './batch/runner'
import { endOfTurnTexts } from './chat/end-of-turn'
import { type ChatOptions, chatOptions } from './chat/options'
import { renderTemplate } from './chat/render'
import { type RenderedChat, renderChat } from './chat/render-chat'
import { cleanUpSpaces } from './clean-up'
import { DecodeStream } from './decode-stream'
import { Encoding } from './encoding'
import { createEngine } from './engine/create'
import { compileDecoder } from './engine/decoder'
import type { Engine } from './engine/engine'
import { type Frame, frameOf } from './engine/post-process'
import type { TokenizerJson } from './engine/tokenizer-json'
import { IdBuffer } from './engine/units'
import { checkTokenizerJson, loadTokenizerFiles, templatesOf } from './files/load'
import { saveTokenizer } from './files/save'
import { mergeAddedTokens, readSpecialTokens, type SpecialTokenRole, type SpecialTokens } from './files/special-tokens'
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
  private readonly frame: Frame
  private readonly idOf = new Map<string, number>()
  private readonly tokenOf: string[] = []
  private specialIds = new Set<number>()
  private readonly scratch = new IdBuffer()

  constructor(input: options.TokenizerOptions) {
    const given = parseOptions(options.tokenizerOptions, input, 'Tokenizer')
    this.where = given.where
    this.json = checkTokenizerJson(given.tokenizerJson, given.where)
    this.config = given.config
    this.chatTemplates = templatesOf(given.chatTemplate ?? given.config.chat_template)
    this.json.added_tokens = mergeAddedTokens(this.json.added_tokens, this.config)
    const { vocab } = this.json.model
    if (Array.isArray(vocab)) for (const [id, [token]] of vocab.entries()) this.setToken(token, id)
    else for (const [token, id] of Object.entries(vocab as Record<string, number>)) this.setToken(token, id)
    for (const token of this.json.added_tokens) this.setToken(token.content, token.id)
    this.engine = createEngine(this.json, (id) => this.tokenOf[id], given.fastEngine, given.where)
    this.batch = new BatchRunner(() => this.threadData(given))
    const decoder = compileDecoder(this.json.decoder)
    if (typeof decoder === 'string')
      throw new TunesmithError(`Unknown ${decoder}`, { code: 'unsupported', where: given.where })
    this.decodeTokens = decoder
    this.frame = frameOf(this.json.post_processor)
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

  /** Which engine encodes: `bpe` is our own, `library` is `@huggingface/tokenizers`, with the `reason` for it. */
  get engineInfo(): { name: 'bpe' | 'library'; reason?: string } {
    const { name, reason } = this.engine
    return reason === undefined ? { name } : { name, reason }
  }

  /** The rows an embedding needs for this tokenizer: the highest id plus one. */
  get vocabSize(): number {
    return this.tokenOf.length
  }

  /** The id of a token's text, or undefined. */
  tokenToId(token: string): number | undefined {
    return this.idOf.get(token)
  }

  /** The text of an id as the vocabulary spells it, or undefined. */
  idToToken(id: number): string | undefined {
    return this.tokenOf[id]
  }

  /** Whether `skipSpecialTokens` leaves this id out. */
  isSpecial(id: number): boolean {
    return this.specialIds.has(id)
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
    if (!this.idOf.has(token)) throw unknownToken(role, token, this.where)
    this.specialTokens.roles[role] = token
    this.refreshSpecialIds()
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
    return this.finish(
      () => content,
      content.length,
      () => this.offsetsOf(text),
      given,
      given.maxLength,
    )
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
    const framed = longest + (given.addSpecialTokens ? this.frame.before.length + this.frame.after.length : 0)
    const padTo = given.padding === 'longest' ? Math.min(framed, given.maxLength ?? framed) : given.maxLength
    for (const [i, { read, length }] of contents.entries())
      encodings[i] = this.finish(read, length, () => this.offsetsOf(texts[i]!), given, padTo)
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
    return this.frame
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
    for (const token of tokens) {
      const given = typeof token === 'string' ? options.newToken.parse({ content: token }) : token
      if (typeof given === 'string') continue
      const { content, special, singleWord, lstrip, rstrip, normalized } = given
      const id = this.idOf.get(content) ?? this.vocabSize
      this.setToken(content, id)
      this.json.added_tokens = this.json.added_tokens.filter((old) => old.id !== id)
      this.json.added_tokens.push({
        id,
        content,
        single_word: singleWord,
        lstrip,
        rstrip,
        normalized: normalized ?? !special,
        special,
      })
    }
    this.json.added_tokens.sort((a, b) => a.id - b.id)
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
    const tokens = endOfTurnTexts(this, given)
    return { tokens, ids: tokens.map((token) => this.idOf.get(token)).filter((id) => id !== undefined) }
  }

  /** The tokenizer that a thread makes for itself, the same as that of `data`. @internal */
  static inThread({ state, jsonBytes, fastEngine }: ThreadData): Tokenizer {
    const { config, chatTemplates: chatTemplate, where } = state
    const json = jsonBytes ? { ...JSON.parse(Buffer.from(jsonBytes).toString()), ...state.json } : state.json
    const tokenizer = new Tokenizer({
      ...{ tokenizerJson: json, config, chatTemplate, where, fastEngine },
      unknownSpecialTokens: 'ignore',
    })
    Object.assign(tokenizer.specialTokens, state.specialTokens)
    return tokenizer
  }

  private threadData({ jsonBytes, fastEngine }: options.ParsedTokenizerOptions): ThreadData {
    const { json, config, chatTemplates, specialTokens, where } = this
    // The vocabulary comes from the bytes, where there are any; only the added tokens can have changed since.
    const changed = (jsonBytes ? { added_tokens: json.added_tokens } : json) as TokenizerJson
    return { state: { json: changed, config, chatTemplates, specialTokens, where }, jsonBytes, fastEngine }
  }

  private decodeIds(ids: ArrayLike<number>, skipSpecial: boolean): string {
    const tokens: string[] = []
    for (let i = 0; i < ids.length; i++) {
      const token = this.tokenOf[ids[i]!]
      if (token !== undefined && !(skipSpecial && this.specialIds.has(ids[i]!))) tokens.push(token)
    }
    return this.decodeTokens(tokens)
  }

  private offsetsOf(text: string): [number, number][] {
    return this.engine.encodeWithOffsets(wellFormed(text), new IdBuffer())
  }

  /** Truncates, adds the special tokens, pads. `content` has `length` ids. */
  private finish(
    content: () => number[],
    length: number,
    offsets: () => [number, number][],
    given: options.ParsedEncodeOptions,
    padTo: number | undefined,
  ): Encoding {
    const { before, after } = given.addSpecialTokens ? this.frame : NO_FRAME
    const room = given.maxLength === undefined ? length : given.maxLength - before.length - after.length
    const kept = Math.max(0, Math.min(length, room))
    const total = kept + before.length + after.length
    const missing = given.padding !== false && padTo !== undefined ? Math.max(0, padTo - total) : 0
    const cutLeft = (given.truncationSide ?? this.config.truncation_side) === 'left'
    const padLeft = (given.paddingSide ?? this.config.padding_side) === 'left'
    const cut = <T>(list: T[]): T[] => {
      if (kept === list.length) return list
      return cutLeft ? list.slice(list.length - kept) : list.slice(0, kept)
    }
    const nowhere = (ids: readonly number[]) => ids.map((): [number, number] => [0, 0])
    return new Encoding(
      () => (before.length + after.length === 0 ? cut(content()) : [...before, ...cut(content()), ...after]),
      () => [...nowhere(before), ...cut(offsets()), ...nowhere(after)],
      { left: padLeft ? missing : 0, right: padLeft ? 0 : missing, id: missing > 0 ? this.needPad() : 0 },
    )
  }

  private needPad(): number {
    const id = this.padTokenId
    if (id === undefined)
      throw new TunesmithError('Padding was asked for, but the tokenizer has no padding token', {
        code: 'invalid_options',
        where: this.where,
        remedy: "Choose one with tokenizer.setSpecialToken('pad_token', ...)",
      })
    return id
  }

  private roleId(role: SpecialTokenRole): number | undefined {
    const token = this.specialTokens.roles[role]
    return token === undefined ? undefined : this.idOf.get(token)
  }

  private setToken(token: string, id: number): void {
    this.idOf.set(token, id)
    while (this.tokenOf.length < id) this.tokenOf.push(undefined as unknown as string)
    this.tokenOf[id] = token
  }

  private settleUnknown(policy: 'error' | 'add' | 'ignore'): void {
    const { roles, additional } = this.specialTokens
    const others = additional.map((token): [string, string] => ['additional_special_tokens', token])
    for (const [role, token] of [...(Object.entries(roles) as [string, string][]), ...others]) {
      if (this.idOf.has(token)) continue
      if (policy === 'error') throw unknownToken(role, token, this.where)
      if (policy === 'add') this.addTokens([{ content: token, special: true }])
      else delete roles[role as SpecialTokenRole]
    }
  }

  private refreshAddedTokens(): void {
    this.engine.setAddedTokens(this.json.added_tokens)
    // Rust tokenizers spells a token that is matched after normalization in its normalized form.
    for (const token of this.json.added_tokens)
      if (token.normalized) this.tokenOf[token.id] = this.engine.normalizeToken(token.content)
    this.refreshSpecialIds()
  }

  private refreshSpecialIds(): void {
    this.specialIds = new Set(this.json.added_tokens.filter((token) => token.special).map((token) => token.id))
  }
}

/** What to fetch of a model on the Hub. */
const FILES = ['tokenizer*.json', 'special_tokens_map.json', 'chat_template*', 'additional_chat_templates/*']
const NO_FRAME: Frame = { before: [], after: [] }
const ENCODE_DEFAULTS = options.encodeOptions.parse({})
const DECODE_DEFAULTS = options.decodeOptions.parse({})

function unknownToken(role: string, token: string, where: string): TunesmithError {
  return new TunesmithError(`${role} is ${JSON.stringify(token)}, which is not in the vocabulary`, {
    code: 'incompatible',
    where,
    remedy: "Correct the config, or load with unknownSpecialTokens: 'add' and resize the model's embedding",
  })
}
