import { incompatible, unsupported } from '@tunesmith/core'
import type { Tokenizer } from '@tunesmith/tokenization'
import type { GenerationDefaults } from '../generation/generation-config'
import { preTokenizerName, type Step, stepsOf, type WordRules } from './pre-tokenizer'
import { bool, floats, type GgufValue, integers, string, strings, u32 } from './values'

/** llama.cpp's kinds of token. */
const KIND = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 }

interface BpeModel {
  type: string
  vocab: Record<string, number>
  merges: (string | [string, string])[]
  byte_fallback?: boolean
  ignore_merges?: boolean
}

/** SentencePiece puts a space before the text: as a normalizer does, or a pre-tokenizer. */
function addsSpacePrefix({ normalizer, pre_tokenizer }: WordRules): boolean {
  const splits = ({ type, prepend_scheme }: Step) => type === 'Metaspace' && prepend_scheme !== 'never'
  return stepsOf(normalizer).some(({ type }) => type === 'Prepend') || stepsOf(pre_tokenizer).some(splits)
}

/** The order of the merges as scores, as SentencePiece has it: the first merge that makes a piece counts. */
function pieceScores(model: BpeModel, size: number): number[] {
  // What no merge makes comes after all.
  const scores = new Array<number>(size).fill(-model.merges.length)
  const scored = new Set<number>()
  model.merges.forEach((merge, rank) => {
    const [left, right] = typeof merge === 'string' ? (merge.split(' ') as [string, string]) : merge
    const id = model.vocab[left + right]
    if (id === undefined || scored.has(id)) return
    scored.add(id)
    scores[id] = -rank
  })
  return scores
}

/**
 * A tokenizer as GGUF metadata: a SentencePiece-like one (`byte_fallback`) as `llama`, a byte-level one as `gpt2` with
 * the name of its word pattern.
 *
 * @param vocabSize rows of the embeddings; ids without a token are filled up.
 * @param preTokenizer the name of the word pattern, where the tokenizer's own has none.
 * @throws {TunesmithError} `unsupported` for another kind of tokenizer, `incompatible` when it has more ids than the model.
 */
export function tokenizerMetadata(
  tokenizer: Tokenizer,
  vocabSize: number,
  generation: GenerationDefaults,
  preTokenizer?: string,
): Map<string, GgufValue> {
  const rules = tokenizer.json as unknown as WordRules & { model: BpeModel }
  const { model } = rules
  if (model.type !== 'BPE')
    throw unsupported(`A ${model.type} tokenizer cannot be written into a GGUF file`, {
      where: tokenizer.where,
      remedy: 'Export safetensors instead',
    })
  const tokens = Array.from({ length: vocabSize }, (_, id) => `[PAD${id}]`)
  const types = new Array<number>(vocabSize).fill(KIND.unused)
  const place = (id: number, content: string, type: number) => {
    if (id >= vocabSize)
      throw incompatible(`The token "${content}" has the id ${id}, and the model ${vocabSize} embeddings`, {
        where: tokenizer.where,
        remedy: 'Use the tokenizer that belongs to the model',
      })
    tokens[id] = content
    types[id] = type
  }
  for (const [content, id] of Object.entries(model.vocab))
    place(id, content, model.byte_fallback && /^<0x[0-9A-F]{2}>$/.test(content) ? KIND.byte : KIND.normal)
  // A token that is left as it is with spaces as SentencePiece writes them.
  const added = tokenizer.json.added_tokens as { id: number; content: string; special?: boolean }[]
  for (const { id, content, special } of added) {
    const piece = model.byte_fallback && !special ? content.replaceAll(' ', '▁') : content
    place(id, piece, special ? KIND.control : KIND.userDefined)
  }
  const { unkTokenId } = tokenizer
  if (unkTokenId !== undefined && model.byte_fallback) types[unkTokenId] = KIND.unknown

  const metadata = new Map<string, GgufValue>()
  const set = (key: string, value: GgufValue) => metadata.set(`tokenizer.ggml.${key}`, value)
  set('model', string(model.byte_fallback ? 'llama' : 'gpt2'))
  const words = () => preTokenizer ?? preTokenizerName(rules, tokenizer.where)
  set('pre', string(model.byte_fallback ? 'default' : words()))
  set('tokens', strings(tokens))
  set('token_type', integers(types))
  if (model.byte_fallback) {
    set('scores', floats(pieceScores(model, vocabSize)))
    set('add_space_prefix', bool(addsSpacePrefix(rules)))
  } else set('merges', strings(model.merges.map((merge) => (typeof merge === 'string' ? merge : merge.join(' ')))))

  const bos = tokenizer.bosTokenId ?? generation.bosTokenId
  const eos = tokenizer.eosTokenId ?? generation.eosTokenIds[0]
  const pad = tokenizer.padTokenId ?? generation.padTokenId
  // The end of a turn, where the chat template has another token for it than the end of the text.
  const eot = tokenizer.endOfTurn().ids.find((id) => id !== eos)
  for (const [name, id] of Object.entries({ bos, eos, eot, unknown: unkTokenId, padding: pad }))
    if (id !== undefined && id < vocabSize) set(`${name}_token_id`, u32(id))
  const { before, after } = tokenizer.framing
  set('add_bos_token', bool(bos !== undefined && before[0] === bos))
  set('add_eos_token', bool(eos !== undefined && after.at(-1) === eos))

  const { default: template, ...named } = tokenizer.chatTemplates
  const chat = template ?? tokenizer.chatTemplate
  if (chat !== undefined) metadata.set('tokenizer.chat_template', string(chat))
  if (Object.keys(named).length > 0) {
    metadata.set('tokenizer.chat_templates', strings(Object.keys(named)))
    for (const [name, text] of Object.entries(named)) metadata.set(`tokenizer.chat_template.${name}`, string(text))
  }
  return metadata
}
