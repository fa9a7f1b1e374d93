import { createHash, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

interface Stored {
  bytes: Buffer
  etag: string
  changed: Date
}
interface Reply {
  status: number
  headers?: Record<string, string>
  body?: Buffer | string
}

/** A server of S3's protocol in memory, as much of it as an object store's client uses; a put may be conditional, `If-None-Match: *`. */
export interface S3Server {
  url: string
  /** What LanceDB is given to reach it. */
  storageOptions: Record<string, string>
  /** Keys with their bytes, `bucket/path`. */
  objects: ReadonlyMap<string, Stored>
  /** Requests that were refused because the object was there already. */
  refused: () => number
  /** Answers every write with this status from now on; 0 ends it. */
  failWrites: (status: number) => void
  close(): Promise<void>
}

export async function startS3Server(): Promise<S3Server> {
  const objects = new Map<string, Stored>()
  const uploads = new Map<string, Map<number, Buffer>>()
  let refused = 0
  let failing = 0

  const store = (key: string, bytes: Buffer): Stored => {
    const stored = { bytes, etag: `"${createHash('md5').update(bytes).digest('hex')}"`, changed: new Date() }
    objects.set(key, stored)
    return stored
  }

  function read(key: string, range: string | undefined): Reply {
    const found = objects.get(key)
    if (!found) return failure(404, 'NoSuchKey')
    const headers = { etag: found.etag, 'last-modified': found.changed.toUTCString(), 'accept-ranges': 'bytes' }
    const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(range ?? '') ?? []
    if (from === undefined) return { status: 200, headers, body: found.bytes }
    const { length } = found.bytes
    const start = from === '' ? Math.max(0, length - Number(to)) : Number(from)
    const end = from === '' || to === '' ? length : Math.min(length, Number(to) + 1)
    if (start >= length) return failure(416, 'InvalidRange')
    return {
      status: 206,
      headers: { ...headers, 'content-range': `bytes ${start}-${end - 1}/${length}` },
      body: found.bytes.subarray(start, end),
    }
  }

  function put(key: string, body: Buffer, { headers }: IncomingMessage, query: URLSearchParams): Reply {
    const upload = uploads.get(query.get('uploadId') ?? '')
    if (upload) {
      upload.set(Number(query.get('partNumber')), body)
      return { status: 200, headers: { etag: `"${query.get('partNumber')}"` } }
    }
    if (headers['if-none-match'] === '*' && objects.has(key)) {
      refused++
      return failure(412, 'PreconditionFailed')
    }
    const source = headers['x-amz-copy-source']
    if (source === undefined) return { status: 200, headers: { etag: store(key, body).etag } }
    const copied = objects.get(decodeURIComponent(String(source)).replace(/^\//, ''))
    if (!copied) return failure(404, 'NoSuchKey')
    return xml('CopyObjectResult', `<ETag>${xmlText(store(key, copied.bytes).etag)}</ETag>`)
  }

  function post(key: string, body: Buffer, { headers }: IncomingMessage, query: URLSearchParams): Reply {
    if (query.has('delete')) {
      const bucket = key.replace(/\/.*$/, '')
      const keys = [...body.toString().matchAll(/<Key>(.*?)<\/Key>/g)].map(([, name]) => plainText(name!))
      for (const name of keys) objects.delete(`${bucket}/${name}`)
      return xml('DeleteResult', keys.map((name) => `<Deleted><Key>${xmlText(name)}</Key></Deleted>`).join(''))
    }
    if (query.has('uploads')) {
      const id = randomUUID()
      uploads.set(id, new Map())
      return xml('InitiateMultipartUploadResult', `<UploadId>${id}</UploadId>`)
    }
    const id = query.get('uploadId') ?? ''
    const parts = uploads.get(id)
    if (!parts) return failure(404, 'NoSuchUpload')
    if (headers['if-none-match'] === '*' && objects.has(key)) {
      refused++
      return failure(412, 'PreconditionFailed')
    }
    uploads.delete(id)
    const inOrder = [...parts].sort(([a], [b]) => a - b).map(([, part]) => part)
    return xml('CompleteMultipartUploadResult', `<ETag>${xmlText(store(key, Buffer.concat(inOrder)).etag)}</ETag>`)
  }

  function list(bucket: string, query: URLSearchParams): Reply {
    const prefix = query.get('prefix') ?? ''
    const delimiter = query.get('delimiter') ?? ''
    const after = query.get('continuation-token') ?? query.get('start-after') ?? ''
    const most = Number(query.get('max-keys') ?? 1000)
    const keys = [...objects.keys()]
      .filter((key) => key.startsWith(`${bucket}/`))
      .map((key) => key.slice(bucket.length + 1))
      .filter((key) => key.startsWith(prefix) && key > after)
      .sort()
    const folders = new Set<string>()
    const files: string[] = []
    let last = ''
    for (const key of keys) {
      if (files.length + folders.size === most) break
      const cut = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length)
      if (cut < 0) files.push(key)
      else folders.add(key.slice(0, cut + delimiter.length))
      last = key
    }
    const more = keys.length > 0 && last !== keys.at(-1)
    const contents = files.map((key) => {
      const { bytes, etag, changed } = objects.get(`${bucket}/${key}`)!
      return `<Contents><Key>${xmlText(key)}</Key><LastModified>${changed.toISOString()}</LastModified><ETag>${xmlText(etag)}</ETag><Size>${bytes.length}</Size></Contents>`
    })
    const common = [...folders].map((folder) => `<CommonPrefixes><Prefix>${xmlText(folder)}</Prefix></CommonPrefixes>`)
    const next = more ? `<NextContinuationToken>${xmlText(last)}</NextContinuationToken>` : ''
    return xml(
      'ListBucketResult',
      `<Name>${bucket}</Name><Prefix>${xmlText(prefix)}</Prefix><KeyCount>${files.length + folders.size}</KeyCount><IsTruncated>${more}</IsTruncated>${next}${contents.join('')}${common.join('')}`,
    )
  }

  async function answer(request: IncomingMessage): Promise<Reply> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const body = Buffer.concat(chunks)
    const { pathname, searchParams } = new URL(request.url!, 'http://server')
    const key = decodeURIComponent(pathname).slice(1)
    const { method } = request
    if (failing > 0 && method !== 'GET' && method !== 'HEAD') return failure(failing, 'Refused')
    if (method === 'PUT') return put(key, body, request, searchParams)
    if (method === 'POST') return post(key, body, request, searchParams)
    if (method === 'DELETE') {
      if (searchParams.has('uploadId')) uploads.delete(searchParams.get('uploadId')!)
      else objects.delete(key)
      return { status: 204 }
    }
    if (searchParams.has('list-type')) return list(key.replace(/\/$/, ''), searchParams)
    return read(key, request.headers.range)
  }

  function send(request: IncomingMessage, response: ServerResponse, { status, headers = {}, body = '' }: Reply) {
    const bytes = Buffer.from(body as string)
    response.writeHead(status, { ...headers, 'content-length': bytes.length })
    response.end(request.method === 'HEAD' ? undefined : bytes)
  }

  const server = createServer((request, response) => {
    // A client that was killed in the middle of a request has asked for nothing.
    answer(request).then(
      (reply) => send(request, response, reply),
      () => response.destroy(),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url,
    objects,
    refused: () => refused,
    failWrites(status) {
      failing = status
    },
    storageOptions: {
      endpoint: url,
      allow_http: 'true',
      region: 'us-east-1',
      aws_access_key_id: 'test',
      aws_secret_access_key: 'test',
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

const xmlText = (text: string) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/"/g, '&quot;')
const plainText = (text: string) =>
  text
    .replace(/&quot;/g, '"')
    .replace(/&lt;/g, '<')
    .replace(/&amp;/g, '&')

const xml = (root: string, inner: string): Reply => ({
  status: 200,
  headers: { 'content-type': 'application/xml' },
  body: `<?xml version="1.0" encoding="UTF-8"?><${root}>${inner}</${root}>`,
})

const failure = (status: number, code: string): Reply => ({
  status,
  headers: { 'content-type': 'application/xml' },
  body: `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`,
})
