import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { notFound, TunesmithError } from '@tunesmith/core'

const run = promisify(execFile)

/** An installed Python TensorFlow, whose shared libraries serve as libtensorflow. */
export interface PythonTensorFlow {
  python: string
  version: string
  /** The package's folder, with `include/` and the libraries. */
  folder: string
}

// Asking the metadata is quick; importing TensorFlow takes seconds.
const FIND = `
import importlib.util, importlib.metadata as m, json
spec = importlib.util.find_spec('tensorflow')
version = next((m.version(d) for d in ('tensorflow', 'tensorflow-cpu') if spec and any(True for _ in m.distributions(name=d))), None)
print(json.dumps({'folder': spec.submodule_search_locations[0], 'version': version} if spec else None))
`

async function findIn(python: string): Promise<PythonTensorFlow | undefined> {
  try {
    const { stdout } = await run(python, ['-c', FIND])
    const found = JSON.parse(stdout) as { folder: string; version: string | null } | null
    return found ? { python, folder: found.folder, version: found.version ?? '?' } : undefined
  } catch {
    return undefined
  }
}

/** Our own virtual environment for it, shared by all projects. */
function environmentFolder(): string {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'tunesmith', 'tensorflow')
}

/** An installed TensorFlow: of `TUNESMITH_PYTHON`, of our own environment, or of the Python on the path. */
export async function findPythonTensorFlow(): Promise<PythonTensorFlow | undefined> {
  const own = join(environmentFolder(), 'bin', 'python')
  const candidates = [process.env.TUNESMITH_PYTHON, existsSync(own) ? own : undefined, 'python3', 'python']
  for (const python of candidates) {
    const found = python ? await findIn(python) : undefined
    if (found) return found
  }
  return undefined
}

/**
 * Installs TensorFlow with pip into an environment of our own.
 *
 * @param gpu the package with CUDA instead of the one for CPUs.
 */
export async function installPythonTensorFlow(gpu: boolean): Promise<PythonTensorFlow> {
  const folder = environmentFolder()
  const python = join(folder, 'bin', 'python')
  const name = gpu ? 'tensorflow[and-cuda]' : 'tensorflow-cpu'
  try {
    await mkdir(folder, { recursive: true })
    await run('python3', ['-m', 'venv', folder])
    await run(python, ['-m', 'pip', 'install', '--quiet', '--retries', '1', name], { maxBuffer: 1 << 26 })
  } catch (cause) {
    throw notFound(
      `pip could not install ${name}: ${(cause as Error).message.split('\n').slice(-4).join(' ').trim()}`,
      { where: folder, remedy: `Install ${name} yourself and name its interpreter in TUNESMITH_PYTHON`, cause },
    )
  }
  const found = await findIn(python)
  if (found) return found
  throw new TunesmithError('pip installed TensorFlow, but it cannot be found', { code: 'internal', where: folder })
}
