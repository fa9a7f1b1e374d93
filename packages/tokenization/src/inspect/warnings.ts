import { type ExampleRow, IGNORE_INDEX } from '@tunesmith/core'
import { isEndTag } from '../chat/end-tokens'
import type { Example } from '../example/build'
import type { Tokenizer } from '../tokenizer'

export type WarningCode =
  | 'doubled-bos'
  | 'no-eos-trained'
  | 'pad-is-eos'
  | 'fully-masked'
  | 'truncated-answer'
  | 'template-rewrites-turns'
  | 'not-printed'
  | 'boundary-crossed'
  | 'split-special-token'

export interface InspectWarning {
  code: WarningCode
  /** What is wrong with this row. */
  message: string
  /** What to do about it. */
  remedy: string
}

/** What the prints of a row's conversation showed. */
export interface PrintFindings {
  /** Whether the template prints earlier turns differently once later ones follow. */
  rewrites: boolean
  /** Fields of messages that are printed nowhere, by their places. */
  unprinted: string[]
  /** The ids that end a turn under the template; asked for only where no other end is trained. */
  ends: () => number[]
}

/** Ids that may end a text or a turn by their names: EOS, and special tokens named as ends. */
function enders(tokenizer: Tokenizer): Set<number> {
  const ids = new Set<number>()
  if (tokenizer.eosTokenId !== undefined) ids.add(tokenizer.eosTokenId)
  for (const token of tokenizer.json.added_tokens) if (token.special && isEndTag(token.content)) ids.add(token.id)
  return ids
}

/** The mistakes a row shows. */
export function warningsOf(
  tokenizer: Tokenizer,
  row: ExampleRow,
  example: Example,
  { rewrites, unprinted, ends: ofTemplate }: PrintFindings,
): InspectWarning[] {
  const warnings: InspectWarning[] = []
  const warn = (code: InspectWarning['code'], message: string, remedy: string) =>
    warnings.push({ code, message, remedy })
  const { inputIds, labels } = example
  const trained = labels.filter((label) => label !== IGNORE_INDEX)
  const bos = tokenizer.bosTokenId
  if (bos !== undefined && inputIds[0] === bos && inputIds[1] === bos)
    warn(
      'doubled-bos',
      `The text begins with ${tokenizer.bosToken} twice: once from the text or template, once from the tokenizer`,
      'Take it out of the text, or train on messages: the chat template then writes it once',
    )
  const ends = enders(tokenizer)
  if (trained.length === 0)
    warn(
      'fully-masked',
      example.truncated > 0
        ? 'Nothing of this row is trained: the cut left only the prompt'
        : 'Nothing of this row is trained',
      example.truncated > 0
        ? 'Raise maxLength, shorten the prompt, or drop the row'
        : 'Check lossOn (of the trainer: assistantOnlyLoss, completionOnlyLoss), and that the answer is not empty',
    )
  else if (example.truncatedTrained === 0 && !trained.some((id) => ends.has(id)) && !endsWith(trained, ofTemplate()))
    warn(
      'no-eos-trained',
      'No end-of-text token is trained, so the model will not learn to stop',
      ends.size === 0
        ? 'Give the tokenizer an EOS token'
        : 'Let appendEos be true, or use a template that ends a turn with a token the vocabulary has',
    )
  const { padTokenId: pad, eosTokenId: eos } = tokenizer
  if (pad !== undefined && pad === eos)
    warn(
      'pad-is-eos',
      `The padding token is the EOS token (${tokenizer.eosToken}): trainers that mask padding by its id mask EOS too`,
      "Tunesmith does not pad; for other tools choose another with tokenizer.setSpecialToken('pad_token', ...)",
    )
  if (example.truncatedTrained > 0)
    warn(
      'truncated-answer',
      `maxLength cuts ${example.truncatedTrained} of the trained tokens off`,
      'Raise maxLength or drop the row: a cut answer teaches the model to stop in mid-sentence, or never',
    )
  if (rewrites)
    warn(
      'template-rewrites-turns',
      'The chat template prints earlier turns differently once later ones follow',
      'Train on single turns, or use a template that leaves earlier turns as they are',
    )
  if (unprinted.length > 0)
    warn(
      'not-printed',
      `The chat template does not print ${unprinted.join(', ')}: what it leaves out is not learned`,
      'Use a template that prints it, or take it out of the rows; "train" says which messages are learned',
    )
  if (example.boundary === 'crossed')
    warn(
      'boundary-crossed',
      'A token reaches over the end of the prompt, or the template prints the prompt differently in the whole',
      "Leave promptBoundary at 'split'",
    )
  const broken = splitSpecial(tokenizer, row, example)
  if (broken !== undefined)
    warn(
      'split-special-token',
      `${broken} looks like a special token but the vocabulary does not have it, so it becomes ordinary pieces`,
      'Use a template made for this model, or add it with tokenizer.addTokens and resize the model',
    )
  return warnings
}

const endsWith = (trained: readonly number[], ends: readonly number[]) => ends.some((id) => trained.includes(id))

/** A text like `<|im_end|>` that the template prints and the vocabulary does not know. */
function splitSpecial(tokenizer: Tokenizer, row: ExampleRow, { text }: Example): string | undefined {
  if (row.text !== undefined || typeof row.prompt === 'string') return undefined
  const said = JSON.stringify(row)
  for (const [token] of text.matchAll(/<\|[a-z_]+\|>|<(?:start|end)_of_turn>/g))
    if (tokenizer.tokenToId(token) === undefined && !said.includes(token)) return token
  return undefined
}
