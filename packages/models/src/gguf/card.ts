import { type GgufValue, string, strings, u32 } from './values'

/** Of a model card's metadata, what a GGUF file keeps. */
export interface GgufCard {
  /** As the Hub writes it: `apache-2.0`, or `other` with a name and a link. */
  license?: string | undefined
  licenseName?: string | undefined
  licenseLink?: string | undefined
  /** Hub ids of the models that it was made from. */
  baseModels?: readonly string[] | undefined
  tags?: readonly string[] | undefined
  languages?: readonly string[] | undefined
}

/** A part of a Hub id as a title, as llama.cpp's converter writes it: lower-case words begin with a capital, versions and sizes stay. */
export const idTitle = (id: string): string =>
  id
    .replaceAll('-', ' ')
    .split(/\s+/)
    .filter(Boolean)
    .map((word) =>
      /[A-Z]/.test(word) || !/[a-z]/.test(word) || /^(v\d+(\.\d+)*|\d.*)$/.test(word)
        ? word
        : word.replace(/[a-z]+/g, (letters) => letters[0]!.toUpperCase() + letters.slice(1)),
    )
    .join(' ')

/** The keys of `general.*` that come from a model card. */
export function cardMetadata(card: GgufCard): [string, GgufValue][] {
  const { license, licenseName, licenseLink, baseModels = [], tags = [], languages = [] } = card
  const text = (key: string, value: string | undefined): [string, GgufValue][] =>
    value === undefined ? [] : [[`general.${key}`, string(value)]]
  return [
    ...text('license', license),
    ...text('license.name', licenseName),
    ...text('license.link', licenseLink),
    ...(baseModels.length > 0 ? [['general.base_model.count', u32(baseModels.length)] as [string, GgufValue]] : []),
    ...baseModels.flatMap((id, i) => {
      const [owner, name] = id.includes('/') ? id.split('/') : [undefined, id]
      return [
        ...text(`base_model.${i}.name`, idTitle(name!)),
        ...text(`base_model.${i}.organization`, owner && idTitle(owner)),
        ...text(`base_model.${i}.repo_url`, owner && `https://huggingface.co/${id}`),
      ]
    }),
    ...(tags.length > 0 ? [['general.tags', strings(tags)] as [string, GgufValue]] : []),
    ...(languages.length > 0 ? [['general.languages', strings(languages)] as [string, GgufValue]] : []),
  ]
}
