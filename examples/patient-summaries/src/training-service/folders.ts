import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** Where a managed training service puts things into a container and takes them out, as SageMaker lays it out. */
export interface ServiceFolders {
  /** Channel `train`: files of rows. */
  train: string
  /** Channel `validation`, when there is one. */
  validation: string | undefined
  /** Channel `model`: the base model, when it is not to be downloaded. */
  baseModel: string | undefined
  hyperparameters: string
  /** Kept when the machine is taken away: the service copies it out while training runs, and back in afterwards. */
  checkpoints: string
  /** Becomes the job's result. */
  model: string
  /** Why the job failed, for the service's console. */
  failure: string
}

/** @param base default `/opt/ml`. */
export function serviceFolders(base = '/opt/ml'): ServiceFolders {
  const channel = (name: string) => {
    const folder = join(base, 'input', 'data', name)
    return existsSync(folder) ? folder : undefined
  }
  return {
    train: join(base, 'input', 'data', 'train'),
    validation: channel('validation'),
    baseModel: channel('model'),
    hyperparameters: join(base, 'input', 'config', 'hyperparameters.json'),
    checkpoints: join(base, 'checkpoints'),
    model: join(base, 'model'),
    failure: join(base, 'output', 'failure'),
  }
}
