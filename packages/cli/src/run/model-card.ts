import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { GgufCard } from '@tunesmith/models'
import { parse } from 'yaml'
import type { FoundModel } from './load'

const texts = (value: unknown): string[] =>
  [value].flat().filter((each): each is string => typeof each === 'string' && each !== '')

/** The metadata of a folder's README.md; nothing where there is none, or none that can be read. */
async function frontMatter(folder: string): Promise<Record<string, unknown>> {
  const text = await readFile(join(folder, 'README.md'), 'utf8').catch(() => '')
  const [, yaml] = /^---\r?\n([\s\S]*?)\r?\n---/.exec(text) ?? []
  try {
    const value: unknown = yaml === undefined ? undefined : parse(yaml)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

/** What the cards of a model and its adapter say; the adapter's base model is the model, where that has a name on the Hub. */
export async function cardOf({ base, baseFolder, adapter }: FoundModel): Promise<GgufCard> {
  const model = await frontMatter(baseFolder)
  const own = adapter === undefined ? model : { ...model, ...(await frontMatter(adapter)) }
  const isHubId = /^[\w.-]+\/[\w.-]+$/.test(base)
  const [license, licenseName, licenseLink] = ['license', 'license_name', 'license_link'].map(
    (key) => texts(own[key])[0],
  )
  return {
    ...{ license, licenseName, licenseLink, tags: texts(own.tags), languages: texts(own.language) },
    baseModels:
      adapter !== undefined && isHubId ? [base] : texts(own.base_model).filter((id) => /^[\w.-]+\/[\w.-]+$/.test(id)),
  }
}
