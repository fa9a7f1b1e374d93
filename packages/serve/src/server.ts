import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import { TunesmithError } from '@tunesmith/core'
import type { Engine } from '@tunesmith/models'
import type { Hono } from 'hono'
import { answeringTo } from './other-sites'

export interface ServerOptions {
  /** Default 127.0.0.1: this machine alone. */
  host?: string | undefined
  /** Default 8000; 0 takes a free one. */
  port?: number | undefined
  /** Names that a server of this machine alone answers to beside its own, as of a proxy. Default none. */
  allowedHosts?: readonly string[] | undefined
  /** Milliseconds within which a client must have sent its request; else 408, and the connection ends. Default 60,000. */
  requestTimeout?: number | undefined
}

export interface RunningServer {
  url: string
  /** Takes no more connections, waits for the answers under way for at most so many milliseconds, then cancels them. Default 30,000. */
  close(graceMs?: number): Promise<void>
}

/**
 * Serves an app.
 *
 * @throws {TunesmithError} `io` when the port is taken or may not be used.
 */
export async function startServer(
  app: Hono,
  engine: Engine,
  { host = '127.0.0.1', port = 8000, allowedHosts = [], requestTimeout = 60_000 }: ServerOptions = {},
): Promise<RunningServer> {
  const server = await new Promise<Server>((resolve, reject) => {
    const headersTimeout = Math.min(requestTimeout, 60_000)
    const serverOptions = { requestTimeout, headersTimeout, connectionsCheckingInterval: headersTimeout / 2 }
    const made = serve({ fetch: answeringTo(app.fetch, host, allowedHosts), hostname: host, port, serverOptions }, () =>
      resolve(made as Server),
    ) as Server
    made.once('error', (error: NodeJS.ErrnoException) => {
      const taken = error.code === 'EADDRINUSE'
      reject(
        new TunesmithError(taken ? `Port ${port} is taken` : `Could not listen on ${host}:${port}: ${error.message}`, {
          code: 'io',
          remedy: 'Choose another port or host',
          cause: error,
        }),
      )
    })
  })
  let underWay = 0
  let closing = false
  // A browser opens connections that it may never use: for those a server that closes would wait.
  const letGo = () => closing && underWay === 0 && server.closeAllConnections()
  server.on('request', (_, response) => {
    underWay++
    response.once('close', () => {
      underWay--
      letGo()
    })
  })
  const { port: actual } = server.address() as AddressInfo
  const name = host.includes(':') ? `[${host}]` : host
  return {
    url: `http://${name}:${actual}`,
    async close(graceMs = 30_000) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      closing = true
      letGo()
      const late = setTimeout(() => void engine.close(), graceMs)
      await closed
      clearTimeout(late)
      await engine.close()
    },
  }
}
