import { invalidData, type Message, unsupported } from '@tunesmith/core'

/** Fields that say whether a message is learned: OpenAI's and Mistral's, axolotl's two, Mistral's older one, ms-swift's. */
const FIELDS = ['weight', 'train', 'training', 'loss_mask', 'loss'] as const
type Field = (typeof FIELDS)[number]
/** With these, axolotl learns messages of other roles than the assistant's. */
const OF_ANY_ROLE: readonly Field[] = ['train', 'training']
/** Fields that speak of parts of a message. */
const DETAILS = ['train_detail', 'training_detail', 'reasoning_training_detail'] as const
/** What is read here of a message. */
export const WEIGHT_FIELDS: readonly string[] = [...FIELDS, ...DETAILS]

/** Whether each message is to be learned, `undefined` where it does not say. */
export type TurnWeights = (boolean | undefined)[]

/**
 * Reads what the messages say of being learned: `weight`, `loss_mask` (0 or 1), `train`, `training`, `loss` (true or false);
 * each field takes either spelling. Null says nothing; `loss` as another number is somebody's measurement.
 *
 * @returns undefined when no message says anything.
 * @throws {TunesmithError} `unsupported` for weights in between, for parts of a message, and for a `weight` of 1 on a
 *   message that is not the assistant's; `invalid_data` for fields that contradict each other.
 */
export function turnWeights(messages: readonly Message[]): TurnWeights | undefined {
  const weights = messages.map(weightOf)
  return weights.some((weight) => weight !== undefined) ? weights : undefined
}

function weightOf(message: Message, i: number): boolean | undefined {
  refuseParts(message, i)
  let weight: boolean | undefined
  for (const field of FIELDS) {
    const said = flagOf(message, field, i)
    if (said === undefined) continue
    const where = `messages[${i}].${field}`
    if (weight !== undefined && weight !== said)
      throw invalidData(
        `"${field}" says that this message is ${said ? '' : 'not '}learned, another field the opposite`,
        {
          where,
          remedy: 'Keep one of them',
        },
      )
    if (said && message.role !== 'assistant' && !OF_ANY_ROLE.includes(field))
      throw unsupported(`"${field}" marks what the assistant says; this message is of the role "${message.role}"`, {
        where,
        remedy: 'Leave it out, or write "train": true to learn this message',
      })
    weight = said
  }
  return weight
}

function flagOf(message: Message, field: Field, i: number): boolean | undefined {
  const value = message[field]
  if (value === undefined || value === null) return undefined
  const plain: unknown = typeof value === 'object' ? value.valueOf() : value
  if (plain === true || plain === 1 || plain === 1n) return true
  if (plain === false || plain === 0 || plain === 0n) return false
  if (field === 'loss') return undefined
  const shown = typeof plain === 'string' ? JSON.stringify(plain) : String(plain)
  throw unsupported(`A message is learned or not: "${field}" is ${shown}, not 0, 1, true or false`, {
    where: `messages[${i}].${field}`,
    remedy: 'Round it, or repeat or drop rows to give them more or less weight',
  })
}

function refuseParts(message: Message, i: number): void {
  const refuse = (where: string): never => {
    throw unsupported('Parts of a message cannot be learned apart from the rest', {
      where: `messages[${i}].${where}`,
      remedy: 'Mark the whole message with "train": true or false',
    })
  }
  for (const field of DETAILS) if (message[field] !== undefined && message[field] !== null) refuse(field)
  for (const key of ['content', 'reasoning_content']) {
    const parts = message[key]
    if (!Array.isArray(parts)) continue
    for (const [n, part] of parts.entries())
      for (const field of ['train', 'weight'])
        if (![undefined, null, true, 1].includes(part?.[field])) refuse(`${key}[${n}].${field}`)
  }
}
