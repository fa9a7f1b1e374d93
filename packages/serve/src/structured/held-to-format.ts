import type { Asked } from '../answers'
import { badRequest } from '../errors'
import type { ChatRequest } from '../requests'
import type { Grammars } from './grammars'
import type { Tools } from './tools'

/** Fields that could end an answer before its JSON is whole, or keep it from ending. */
const CUTTING = ['stop', 'stop_token_ids', 'ignore_eos'] as const

const schemaOf = (format: ChatRequest['response_format']) =>
  format?.type === 'json_schema' ? format.json_schema.schema : { type: 'object' }

/**
 * Holds answers to the format that is asked for, or to the call that must be made.
 *
 * @throws {RequestError} 400 for a format that could not be kept to the last word.
 */
export async function heldToFormat(
  asked: readonly Asked[],
  request: Pick<ChatRequest, 'response_format' | (typeof CUTTING)[number]>,
  grammars: Grammars,
  tools?: Tools,
): Promise<Asked[]> {
  const format = request.response_format
  const mustCall = tools?.before !== undefined
  if (!mustCall && (format == null || format.type === 'text')) return [...asked]
  const cutting = CUTTING.find((name) => request[name] != null && request[name] !== false)
  if (cutting) throw badRequest(`${cutting}: an answer in JSON ends where it is whole`, 'invalid_value', cutting)
  const schema = mustCall ? tools.schema : schemaOf(format)
  const follow = await grammars.follow(schema, mustCall ? 'tools' : 'response_format')
  return Promise.all(
    asked.map(async (one) => {
      const { mask, release } = await follow()
      return { ...one, request: { ...one.request, mask }, release }
    }),
  )
}
