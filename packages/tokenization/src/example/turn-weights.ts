import { type Message, TunesmithError } from '@tunesmith/core'

/** Fields of a message that say whether it is learned, and who writes them. */
const FIELDS = {
  weight: 'OpenAI, Mistral',
  train: 'axolotl',
  training: 'axolotl',
  loss_mask: 'Mistral',
  loss: 'ms-swift',
} as const
type Field = keyof typeof FIELDS
/** Fields that speak of parts of a message. */
const DETAILS = ['train_detail', 'training_detail', 'reasoning_training_detail'] as const
/** With these, other roles than the assistant can be learned too. */
const OF_ANY_ROLE: readonly Field[] = ['train', 'training']

/** Whether each message is to be learned, `undefined` where it does not say. */
export type TurnWeights = (boolean | undefined)[]

/**
 * Reads what the messages say of being learned: `weight`, `loss_mask` (0 or 1), `train`, `training`, `loss` (true or false;
 * either spelling in all of them). Null says nothing; `loss` as a number other than 0 and 1 is somebody's measurement.
 *
 * @returns undefined when no message says anything.
 * @throws {TunesmithError} `unsupported` for weights in between, for parts of a message, and for a `weight` of 1 on a
 *   message that is not the assistant's; `invalid_data` for fields that contradict each other.
 */
export function turnWeights(messages: readonly Message[]): TurnWeights | undefined {
  let any = false
  const weights = messages.map((message, i) => {
    refuseParts(message, i)
    let found: boolean | undefined
    for (const field of Object.keys(FIELDS) as Field[]) {
      const said = flagOf(message, field, i)
      if (said === undefined) continue
      if (found !== undefined && found !== said)
        throw new TunesmithError(
          `"${field}" says that this message is ${said ? '' : 'not '}learned, another field the opposite`,
          {
            code: 'invalid_data',
            where: `messages[${i}].${field}`,
            remedy: 'Keep one of them',
          },
        )
      if (said && message.role !== 'assistant' && !OF_ANY_ROLE.includes(field))
        throw new TunesmithError(
          `"${field}" marks what the assistant says; this message is of the role "${message.role}"`,
          {
            code: 'unsupported',
            where: `messages[${i}].${field}`,
            remedy: 'Leave it out, or write "train": true to learn this message',
          },
        )
      found = said
    }
    any ||= found !== undefined
    return found
  })
  return any ? weights : undefined
}

function flagOf(message: Message, field: Field, i: number): boolean | undefined {
  const value = message[field]
  if (value === undefined || value === null) return undefined
  const plain: unknown = typeof value === 'object' ? value.valueOf() : value
  if (plain === true || plain === 1 || plain === 1n) return true
  if (plain === false || plain === 0 || plain === 0n) return false
  if (field === 'loss') return undefined
  throw new TunesmithError(`A message is learned or not: "${field}" is ${String(plain)}, not 0, 1, true or false`, {
    code: 'unsupported',
    where: `messages[${i}].${field}`,
    remedy: 'Round it, or repeat or drop rows to give them more or less weight',
  })
}

function refuseParts(message: Message, i: number): void {
  const refuse = (where: string): never => {
    throw new TunesmithError('Parts of a message cannot be learned apart from the rest', {
      code: 'unsupported',
      where: `messages[${i}].${where}`,
      remedy: 'Mark the whole message with "train": true or false',
    })
  }
  for (const field of DETAILS) if (message[field] !== undefined && message[field] !== null) refuse(field)
  for (const key of ['content', 'reasoning_content'])
    if (Array.isArray(message[key]))
      for (const [n, part] of message[key].entries())
        for (const field of ['train', 'weight'])
          if (![undefined, null, true, 1].includes(part?.[field])) refuse(`${key}[${n}].${field}`)
}
