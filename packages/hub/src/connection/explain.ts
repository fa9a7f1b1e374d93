import { redactSecrets, type TunesmithError, type TunesmithErrorCode } from '@tunesmith/core'
import { withoutQuery } from './client'
import { HubError } from './hub-error'
import { describeRepo, type Repo } from './repo'
import type { Connection } from './settings'

/** What the Hub said in its headers or a short JSON body, without keys, then cut; never an HTML page. */
async function serverMessage(response: Response): Promise<string> {
  const header = response.headers.get('x-error-message')
  if (header) return redactSecrets(header).slice(0, 300)
  if (!response.headers.get('content-type')?.includes('json')) return ''
  const body = (await response.json().catch(() => ({}))) as { error?: unknown }
  return typeof body.error === 'string' ? redactSecrets(body.error).slice(0, 300) : ''
}

/** An answer with an error status as an error that says why and what to do. */
export async function explainStatus(
  response: Response,
  repo: Repo,
  { endpoint, token }: Connection,
  path?: string,
): Promise<TunesmithError> {
  const { status } = response
  const errorCode = response.headers.get('x-error-code')
  const said = await serverMessage(response)
  await response.body?.cancel().catch(() => undefined)
  const page = `${endpoint}/${repo.type === 'dataset' ? 'datasets/' : ''}${repo.id}`
  const where = withoutQuery(response.url || page)
  const name = describeRepo(repo)
  const tokenRemedy = `${token ? 'Check that the token is of' : 'Set HF_TOKEN to a token of'} an account that may read it (https://huggingface.co/settings/tokens)`
  const error = (code: TunesmithErrorCode, what: string, remedy: string, missing?: 'repo') =>
    new HubError(what, { code, where, remedy }, status, missing)
  const quote = said && `: ${said}`

  if (errorCode === 'GatedRepo' || (status === 403 && /gated|restricted|authorized list/i.test(said)))
    return error(
      'network',
      `The ${name} is gated: its owner asks readers to accept terms first`,
      token
        ? `Accept the terms at ${page} with the account of your token, and wait for approval if it is needed`
        : `Accept the terms at ${page}, then set HF_TOKEN to a token of that account`,
    )
  if (status === 401 && /invalid (credentials|user|token|username)/i.test(said))
    return error(
      'network',
      `The Hub does not accept the token${quote}`,
      'It may have expired; make a new one at https://huggingface.co/settings/tokens and set HF_TOKEN',
    )
  if (errorCode === 'RevisionNotFound')
    return error(
      'not_found',
      `The ${name} has no revision "${repo.revision}"`,
      `See ${page}/tree/main for its branches and tags`,
    )
  if (errorCode === 'EntryNotFound' || (status === 404 && path !== undefined && errorCode !== 'RepoNotFound'))
    return error(
      'not_found',
      `The ${name} has no file "${path}" at revision "${repo.revision}"`,
      `See ${page}/tree/${repo.revision} for its files`,
    )
  if (status === 404 || status === 401)
    return error(
      'not_found',
      `There is no ${name}, or it is private (the Hub answered ${status})`,
      `Check the spelling; if it is private: ${tokenRemedy}`,
      'repo',
    )
  if (status === 403) return error('network', `The Hub forbids access to the ${name}${quote}`, tokenRemedy)
  if (status === 429)
    return error(
      'network',
      'The Hub asks for fewer requests, and kept asking',
      `Try again in some minutes${token ? '' : '; with a token (HF_TOKEN) the limit is higher'}`,
    )
  return error(
    'network',
    `The Hub answered ${status}${quote}`,
    status >= 500
      ? 'Try again later; what is already downloaded is kept'
      : 'Check the id, the revision and HF_ENDPOINT',
  )
}
