import { AsyncLocalStorage } from 'node:async_hooks'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { link, mkdir, readFile, realpath, rm, rmdir, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { TunesmithError } from './errors'
import { failAs } from './file-error'
import { makeFolder } from './make-folder'

const HEARTBEAT_MS = 5_000
/** A holder that has not shown itself for so long is dead, wherever it ran. */
const STALE_MS = 60_000
/** The locks of this process: a restarted container may have the process id of the one that died. */
const ours = new Set<string>()

interface Holder {
  pid: number
  host: string
  nonce: string
  /** When its process began, in the system's clock ticks since the start of the machine: ids of processes are used again. */
  began?: string
}

/** {@link Holder.began} of a process; undefined where the system does not tell. */
function beginOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')[19]
  } catch {
    return undefined
  }
}

const newHolder = (): Holder => {
  const began = beginOf(process.pid)
  return { pid: process.pid, host: hostname(), nonce: randomBytes(8).toString('hex'), ...(began && { began }) }
}

interface FoundHolder {
  dead: boolean
  nonce: string
  /** Undefined when the file is not readable as a lock. */
  holder: Holder | undefined
}

/**
 * Whether a lock's holder is gone; undefined when the lock itself is gone.
 *
 * @param staleMs so long a silence means death where nothing better is known.
 */
async function findHolder(path: string, staleMs: number): Promise<FoundHolder | undefined> {
  const stats = await stat(path).catch(() => undefined)
  const text = await readFile(path, 'utf8').catch(() => undefined)
  if (!stats || text === undefined) return undefined
  const silent = Date.now() - stats.mtimeMs
  let holder: Holder
  try {
    holder = JSON.parse(text) as Holder
    if (!Number.isInteger(holder.pid) || typeof holder.host !== 'string') throw new TypeError()
  } catch {
    // Its writer died, or is about to finish.
    return { dead: silent > Math.min(staleMs, STALE_MS), nonce: 'unreadable', holder: undefined }
  }
  const nonce = /^\w{1,64}$/.test(holder.nonce) ? holder.nonce : 'unreadable'
  return { dead: silent > staleMs || (holder.host === hostname() && !isAlive(holder)), nonce, holder }
}

function isAlive({ pid, nonce, began }: Holder): boolean {
  if (pid === process.pid) return ours.has(nonce)
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  const now = beginOf(pid)
  return began === undefined || now === undefined || now === began
}

/** Creates the lock file with its content in one step; false when another holds it. */
async function tryTake(path: string, holder: Holder): Promise<boolean> {
  const temporary = `${path}.${holder.nonce}`
  await writeFile(temporary, JSON.stringify(holder))
  try {
    await link(temporary, path)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return false
    // A file system without hard links: the content follows a moment after the file.
    return await writeFile(path, JSON.stringify(holder), { flag: 'wx' }).then(
      () => true,
      (failure: NodeJS.ErrnoException) => {
        if (failure.code === 'EEXIST') return false
        throw failure
      },
    )
  } finally {
    await rm(temporary, { force: true })
  }
}

/**
 * Removes a dead holder's lock. Of several processes that saw it die, one wins the folder named after the dead lock,
 * and looks again before it removes anything, so that a lock taken meanwhile is never removed.
 */
async function removeDead(path: string, nonce: string, staleMs: number): Promise<void> {
  const arbiter = `${path}.${nonce}.dead`
  try {
    await mkdir(arbiter)
  } catch {
    const stats = await stat(arbiter).catch(() => undefined)
    if (stats && Date.now() - stats.mtimeMs > STALE_MS) await rmdir(arbiter).catch(() => undefined)
    return
  }
  try {
    const now = await findHolder(path, staleMs)
    if (now?.dead && now.nonce === nonce) await rm(path, { force: true })
  } finally {
    await rmdir(arbiter).catch(() => undefined)
  }
}

export interface FileLockOptions {
  signal?: AbortSignal | undefined
  /** Called once when another process holds the lock and it must be waited for. */
  onWait?: () => void
}

/**
 * Runs `work` while no other process that asks for the same lock does. A lock whose holder died is taken over: at once
 * when the holder ran on this machine, else after a minute without a sign of life. Works on any file system, network
 * ones included, because it needs no `flock`.
 */
export async function withFileLock<Result>(
  path: string,
  work: () => Promise<Result>,
  { signal, onWait }: FileLockOptions = {},
): Promise<Result> {
  const holder = newHolder()
  ours.add(holder.nonce)
  await makeFolder(dirname(path)).catch(failAs(path, 'make the folder for locks'))
  for (let round = 0; ; round++) {
    if (signal?.aborted) throw new TunesmithError('Stopped on request', { code: 'aborted', cause: signal.reason })
    const taken = await tryTake(path, holder).catch(failAs(path, 'make a lock'))
    if (taken) break
    const current = await findHolder(path, STALE_MS)
    if (current?.dead) {
      await removeDead(path, current.nonce, STALE_MS)
      await delay(10)
    } else if (current) {
      if (round === 0) onWait?.()
      await delay(Math.min(1000, 50 * 1.3 ** round))
    }
  }
  const heartbeat = setInterval(() => {
    const now = new Date()
    utimes(path, now, now).catch(() => undefined)
  }, HEARTBEAT_MS)
  heartbeat.unref()
  try {
    return await work()
  } finally {
    clearInterval(heartbeat)
    await release(path, holder)
  }
}

async function release(path: string, { nonce }: Holder): Promise<void> {
  // After a long freeze another process may hold the lock by now; that one is not ours to remove.
  const text = await readFile(path, 'utf8').catch(() => '')
  if (text.includes(nonce)) await rm(path, { force: true }).catch(() => undefined)
  // Last: while its file is there, the lock counts as held.
  ours.delete(nonce)
}

/** The folders that the work under way has locked. */
const locked = new AsyncLocalStorage<readonly string[]>()

/** The lock of a folder, in it. */
export const FOLDER_LOCK = '.tunesmith.lock'

/**
 * Runs `work` while no other work, of this process or another one, has the folder; work that is part of it may ask again. The
 * folder is made where it is not there.
 *
 * The lock of a process that died on this machine is taken over. One of another machine is not, since nothing here tells whether
 * that process lives; so a lock is never lost to a computation that leaves no time for signs of life.
 *
 * @param onTakeOver gets a sentence when a dead process' lock was taken over.
 * @throws {TunesmithError} `io` when another process has the folder, or it cannot be written.
 */
export async function withFolderLock<Result>(
  folder: string,
  work: () => Promise<Result>,
  onTakeOver?: (message: string) => void,
): Promise<Result> {
  await makeFolder(folder).catch(failAs(folder, 'make the folder'))
  const place = await realpath(folder)
  const outer = locked.getStore() ?? []
  if (outer.includes(place)) return work()
  const path = join(place, FOLDER_LOCK)
  const holder = newHolder()
  ours.add(holder.nonce)
  while (!(await tryTake(path, holder).catch(failAs(folder, 'write to the folder')))) {
    const current = await findHolder(path, Number.POSITIVE_INFINITY)
    if (!current) continue
    if (!current.dead) {
      ours.delete(holder.nonce)
      throw new TunesmithError(`The folder is in use by ${nameOf(current.holder)}`, {
        code: 'io',
        where: resolve(folder),
        remedy: `Wait for it or choose another folder; if it is no longer there, delete ${FOLDER_LOCK} in the folder`,
      })
    }
    await removeDead(path, current.nonce, Number.POSITIVE_INFINITY)
    onTakeOver?.(`${folder} was left locked by ${nameOf(current.holder)}, which is gone; its lock was taken over`)
  }
  try {
    return await locked.run([...outer, place], work)
  } finally {
    await release(path, holder)
  }
}

const nameOf = (holder: Holder | undefined) =>
  holder ? `process ${holder.pid} on ${holder.host}` : 'a process that does not say which'
