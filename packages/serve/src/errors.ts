import { isTunesmithError } from '@tunesmith/core'

/** An error in the shape of OpenAI's API. */
export interface ApiError {
  status: 400 | 401 | 403 | 404 | 413 | 429 | 500 | 503
  message: string
  type: string
  code: string | null
  param: string | null
}

export class RequestError extends Error {
  constructor(readonly api: ApiError) {
    super(api.message)
  }
}

const ofType = (status: ApiError['status'], type: string) => (message: string, code: string | null, param?: string) =>
  new RequestError({ status, message, type, code, param: param ?? null })

export const badRequest = ofType(400, 'invalid_request_error')
export const notFoundError = ofType(404, 'invalid_request_error')
export const unauthorized = ofType(401, 'invalid_request_error')
export const tooLarge = ofType(413, 'invalid_request_error')
export const forbidden = ofType(403, 'invalid_request_error')
export const notReady = ofType(503, 'server_error')

/** What a client is told. Our own mistakes keep their details to the log. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof RequestError) return error.api
  if (isTunesmithError(error)) {
    const { message, code } = error
    if (code === 'busy') return { status: 429, message, type: 'rate_limit_error', code, param: null }
    if (code === 'not_found') return { status: 404, message, type: 'invalid_request_error', code, param: null }
    if (code === 'invalid_data' || code === 'invalid_options' || code === 'unsupported')
      return { status: 400, message, type: 'invalid_request_error', code, param: null }
    if (code === 'aborted') return { status: 503, message, type: 'server_error', code, param: null }
  }
  return { status: 500, message: 'The server could not answer', type: 'server_error', code: null, param: null }
}

export const errorBody = ({ message, type, code, param }: ApiError) => ({ error: { message, type, param, code } })
