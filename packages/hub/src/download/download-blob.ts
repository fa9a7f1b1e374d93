import { invalidFile, TunesmithError } from '@tunesmith/core'
import type { HubClient } from '../connection/client'
import { explainStatus } from '../connection/explain'
import type { Repo } from '../connection/repo'
import type { RepoFile } from '../connection/repo-files'
import { PartialFile } from './partial-file'

interface BlobDownload {
  client: HubClient
  repo: Repo
  file: RepoFile
  url: string
  /** Where the complete file goes. */
  target: string
  /** Told how many bytes of the file are there, after each piece. */
  onBytes: (bytes: number) => void
}

/** The server ended an answer early, or fell silent. */
class Cut extends Error {}

/** Reads an answer's body into the file. A silent server is given up after the timeout. */
async function receive(response: Response, partial: PartialFile, { client, file, onBytes }: BlobDownload) {
  const { timeoutMs, signal } = client.connection
  const reader = response.body!.getReader()
  const stop = (reason: unknown) => void reader.cancel(reason).catch(() => undefined)
  const onAbort = () => stop(signal?.reason)
  signal?.addEventListener('abort', onAbort, { once: true })
  let silent = false
  const watch = setTimeout(() => {
    silent = true
    stop(new Error('silent'))
  }, timeoutMs)
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (signal?.aborted) throw client.failure(signal.reason, '')
      if (done) break
      watch.refresh()
      if (file.size !== undefined && partial.length + value.length > file.size)
        throw new Cut(`the server sent more than the ${file.size} bytes it announced`)
      await partial.append(value)
      onBytes(partial.length)
    }
    if (silent) throw new Cut(`the server sent nothing for ${timeoutMs} ms`)
  } finally {
    clearTimeout(watch)
    signal?.removeEventListener('abort', onAbort)
    stop(undefined)
    await partial.flush()
  }
}

/** Asks for what is missing and writes it; returns early, without an error, when the server sent less than asked. */
async function fetchRest(partial: PartialFile, download: BlobDownload): Promise<void> {
  const { client, repo, file, url } = download
  const headers: Record<string, string> = { 'accept-encoding': 'identity' }
  const start = partial.length
  if (start > 0) headers.range = `bytes=${start}-`
  const response = await client.request(url, { headers })
  const from = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1]
  const continues = response.status === 206 && from !== undefined && Number(from) === start
  if (response.status === 416 || (response.status === 206 && !continues)) {
    // What is there does not fit what the server has: from the start again.
    await response.body?.cancel().catch(() => undefined)
    if (start === 0) throw await explainStatus(response, repo, client.connection, file.path)
    await partial.restart()
    throw new Cut('the server cannot continue where the download stopped')
  }
  if (!response.ok) throw await explainStatus(response, repo, client.connection, file.path)
  if (!continues && start > 0) await partial.restart()
  if (response.body) await receive(response, partial, download)
}

/** Fetches until all bytes are there, resuming after each cut as long as there is progress. */
async function complete(partial: PartialFile, download: BlobDownload): Promise<void> {
  const { client, file, url } = download
  const { size } = file
  let failures = 0
  while (size === undefined || partial.length < size) {
    const before = partial.length
    let cut: unknown
    try {
      await fetchRest(partial, download)
      if (size === undefined || partial.length >= size) return
      cut = new Cut(`the connection ended after ${partial.length} of ${size} bytes`)
    } catch (error) {
      if (error instanceof TunesmithError) throw error
      cut = error
    }
    failures = partial.length > before ? 1 : failures + 1
    if (failures > client.connection.retries || client.connection.signal?.aborted) throw client.failure(cut, url)
    await client.pause(failures - 1)
  }
}

/**
 * Downloads a file's content to `target`: resumes what an earlier attempt left, repeats after cuts, and checks size and
 * hash before the file gets its name. A file that fails the check is fetched once more from the start.
 *
 * @throws {TunesmithError} `invalid_file` when the content is not what the repository says; `network`, `not_found`,
 *   `io`, `aborted`. What was received is kept for the next attempt, unless it was wrong.
 */
export async function downloadBlob(download: BlobDownload): Promise<void> {
  const { file, target, onBytes, url } = download
  const partial = await PartialFile.open(target, file.etag, file.size)
  try {
    for (let attempt = 0; ; attempt++) {
      onBytes(partial.length)
      await complete(partial, download)
      const { valid, found } = partial.verify()
      if (valid) return await partial.finish()
      await partial.restart()
      if (attempt > 0)
        throw invalidFile(`The content of "${file.path}" has the hash ${found}, not ${file.etag}`, {
          where: url,
          remedy:
            'It was damaged on the way, twice: check the disk and any proxy between, then run it again; nothing wrong was kept',
        })
    }
  } finally {
    await partial.leave()
  }
}
