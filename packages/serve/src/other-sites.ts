import type { MiddlewareHandler } from 'hono'
import { cors } from 'hono/cors'
import { errorBody, forbidden } from './errors'

/**
 * Keeps pages of other sites from using the server by a reader's browser, which says where a page is from. Programs that are no browser say
 * nothing and are not asked.
 *
 * @param origins of the sites whose pages may ask, like `https://example.org`.
 */
export function fromOtherSites(origins: readonly string[]): MiddlewareHandler {
  const shared = cors({ origin: [...origins] })
  return async (context, next) => {
    const origin = context.req.header('origin')
    if (origin === undefined) return next()
    if (origins.includes(origin)) return shared(context, next)
    const own = URL.canParse(origin) && new URL(origin).host === new URL(context.req.url).host
    if (!own && context.req.method !== 'GET' && context.req.method !== 'HEAD')
      throw forbidden('Pages of other sites may not ask this server: name theirs in corsOrigins', 'foreign_origin')
    return next()
  }
}

const LOOPBACK = /^(?:(?:.+\.)?localhost|127(?:\.\d{1,3}){3}|\[::1\])$/

type Fetch = (request: Request, ...rest: never[]) => Response | Promise<Response>

/**
 * A server that listens on this machine alone answers to this machine's names alone: another site's name that is made to lead here would let
 * its pages read what is answered.
 *
 * @param hosts further names, as of a proxy.
 */
export function answeringTo<Handler extends Fetch>(fetch: Handler, host: string, hosts: readonly string[]): Handler {
  if (!LOOPBACK.test(host) && host !== '::1') return fetch
  const guarded: Fetch = (request, ...rest) => {
    const { hostname } = new URL(request.url)
    if (LOOPBACK.test(hostname) || hosts.includes(hostname)) return fetch(request, ...rest)
    const { api } = forbidden(`This server does not answer to the name ${JSON.stringify(hostname)}`, 'unknown_host')
    return Response.json(errorBody(api), { status: api.status })
  }
  return guarded as Handler
}
