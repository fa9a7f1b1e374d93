import { createHash, type Hash } from 'node:crypto'
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises'
import { fileError, TunesmithError } from '@tunesmith/core'

const BUFFER_BYTES = 4 * 2 ** 20
const FLUSH_MS = 250
const SYNC_BYTES = 2 ** 20

/**
 * The hash that an etag is: SHA-256 of the content, or git's id of it, SHA-1 over `blob SIZE\0` and the content.
 * Undefined when it is neither, or git's without a known size; then nothing but the size can be checked.
 */
export function hashOfEtag(etag: string, size: number | undefined): Hash | undefined {
  if (/^[0-9a-f]{64}$/.test(etag)) return createHash('sha256')
  if (/^[0-9a-f]{40}$/.test(etag) && size !== undefined) return createHash('sha1').update(`blob ${size}\0`)
  return undefined
}

/** A download under way: `PATH.incomplete`, hashed as it grows, and kept when the process ends before the download. */
export class PartialFile {
  /** Bytes it has, those still in memory included. */
  length = 0
  private hash: Hash | undefined
  private readonly pending: Uint8Array[] = []
  private pendingBytes = 0
  private flushed = performance.now()

  private constructor(
    /** Where the complete file goes. */
    readonly target: string,
    private readonly etag: string,
    private readonly size: number | undefined,
    private handle: FileHandle,
  ) {}

  private get path(): string {
    return `${this.target}.incomplete`
  }

  /** Opens what an earlier attempt left, hashing it, or starts anew. */
  static async open(target: string, etag: string, size: number | undefined): Promise<PartialFile> {
    const path = `${target}.incomplete`
    try {
      const found = await stat(path).catch(() => undefined)
      const usable = found?.isFile() && (size === undefined || found.size <= size)
      if (found && !usable) await rm(path, { recursive: true, force: true })
      const file = new PartialFile(target, etag, size, await open(path, usable ? 'r+' : 'wx'))
      file.hash = hashOfEtag(etag, size)
      if (usable) await file.hashExisting()
      return file
    } catch (error) {
      throw fileError(error, path, 'write')
    }
  }

  private async hashExisting(): Promise<void> {
    const buffer = new Uint8Array(BUFFER_BYTES)
    for (;;) {
      const { bytesRead } = await this.handle.read(buffer, 0, buffer.length, this.length)
      if (bytesRead === 0) return
      this.hash?.update(buffer.subarray(0, bytesRead))
      this.length += bytesRead
    }
  }

  async append(bytes: Uint8Array): Promise<void> {
    this.hash?.update(bytes)
    this.pending.push(bytes)
    this.pendingBytes += bytes.length
    this.length += bytes.length
    // On a slow line by the clock, so that a killed process loses little.
    if (this.pendingBytes >= BUFFER_BYTES || performance.now() - this.flushed > FLUSH_MS) await this.flush()
  }

  /** Writes what is still in memory. */
  async flush(): Promise<void> {
    const bytes = Buffer.concat(this.pending)
    const start = this.length - bytes.length
    this.pending.length = 0
    this.pendingBytes = 0
    this.flushed = performance.now()
    try {
      for (let done = 0; done < bytes.length; )
        done += (await this.handle.write(bytes, done, bytes.length - done, start + done)).bytesWritten
    } catch (error) {
      throw fileError(error, this.path, 'write')
    }
  }

  /** Throws away what is there. A new file, so that a process that still writes to the old one does no harm. */
  async restart(): Promise<void> {
    await this.handle.close()
    await rm(this.path, { force: true })
    this.handle = await open(this.path, 'wx')
    this.hash = hashOfEtag(this.etag, this.size)
    this.pending.length = 0
    this.pendingBytes = 0
    this.length = 0
  }

  /** Whether the content is what the etag says. Ends the hashing: call it once, when all is there. */
  verify(): { valid: boolean; found: string } {
    const found = this.hash?.digest('hex') ?? this.etag
    return { valid: found === this.etag, found }
  }

  /** Moves the complete file to its place, once it is written. */
  async finish(): Promise<void> {
    try {
      await this.flush()
      // A small file that a crash leaves short is found by its size; forcing each to the disk would take longer than they do.
      if (this.length > SYNC_BYTES) await this.handle.sync()
      const [mine, there] = [await this.handle.stat(), await stat(this.path)]
      if (mine.ino !== there.ino)
        throw new TunesmithError('Another process took over the unfinished download', {
          code: 'io',
          where: this.path,
          remedy: 'Run it again',
        })
      await this.handle.close()
      await rename(this.path, this.target)
    } catch (error) {
      throw fileError(error, this.target, 'write')
    }
  }

  /** Keeps what is there for a later attempt. */
  async leave(): Promise<void> {
    await this.flush().catch(() => undefined)
    await this.handle.close().catch(() => undefined)
  }
}
