import type { Asked } from '../answers'
import { badRequest } from '../errors'
import type { ChatRequest } from '../requests'
import type { Grammars } from './grammars'

/** Fields that could end an answer before its JSON is whole, or keep it from ending. */
const CUTTING = ['stop', 'stop_token_ids', 'ignore_eos'] as const

/**
 * Holds answers to the format that is asked for.
 *
 * @throws {RequestError} 400 for a format that could not be kept to the last word.
 */
export async function heldToFormat(
  asked: readonly Asked[],
  request: Pick<ChatRequest, 'response_format' | (typeof CUTTING)[number]>,
  grammars: Grammars,
): Promise<Asked[]> {
  const format = request.response_format
  if (format == null || format.type === 'text') return [...asked]
  const cutting = CUTTING.find((name) => request[name] != null && request[name] !== false)
  if (cutting) throw badRequest(`${cutting}: an answer in JSON ends where it is whole`, 'invalid_value', cutting)
  const schema = format.type === 'json_object' ? { type: 'object' } : format.json_schema.schema
  const follow = await grammars.follow(schema, 'response_format')
  return Promise.all(
    asked.map(async (one) => {
      const { mask, release } = await follow()
      return { ...one, request: { ...one.request, mask }, release }
    }),
  )
}
