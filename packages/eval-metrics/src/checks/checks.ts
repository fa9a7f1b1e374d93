import { invalidOptions } from '@tunesmith/core'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { EvalRow } from '../report/types'

/** A rule every output has to keep. */
export interface FormatCheck {
  name: string
  /** @returns what is wrong with the output, one sentence each; nothing when it passes. */
  run(output: string, row: EvalRow): string[]
}

const quote = (text: string) => {
  const flat = text.replace(/\s+/g, ' ').trim()
  return `"${flat.length > 60 ? `${flat.slice(0, 59)}…` : flat}"`
}

/**
 * Sections that must be there, as headings at the start of a line (`## Summary`, `**Summary**`, `Summary:`), case ignored.
 *
 * @param ordered they must also come in the order given. Default true.
 */
export function requiredSections(sections: readonly string[], { ordered = true } = {}): FormatCheck {
  return {
    name: 'required sections',
    run(output) {
      const lines = output.split('\n').map((line) => line.replace(/^[\s#>*_\-\d.)]+/, '').toLowerCase())
      const at = sections.map((section) => {
        const name = section.toLowerCase()
        return lines.findIndex((line) => line.startsWith(name) && !/^[\p{L}\p{N}]/u.test(line.slice(name.length)))
      })
      const missing = sections.filter((_, i) => at[i] === -1).map((section) => `there is no section ${quote(section)}`)
      if (!ordered) return missing
      const found = sections.map((section, i) => ({ section, line: at[i] })).filter(({ line }) => line !== -1)
      const early = found.filter(({ line }, i) => i > 0 && line < found[i - 1].line)
      return [...missing, ...early.map(({ section }) => `section ${quote(section)} comes too early`)]
    },
  }
}

/** Patterns that must not occur. */
export function forbiddenPatterns(patterns: readonly (RegExp | string)[], name = 'forbidden pattern'): FormatCheck {
  const compiled = patterns.map((pattern) => {
    if (typeof pattern !== 'string') return new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, ''))
    try {
      return new RegExp(pattern, 'u')
    } catch (cause) {
      throw invalidOptions(`The forbidden pattern ${quote(pattern)} is no regular expression`, {
        where: 'forbiddenPatterns',
        cause,
      })
    }
  })
  return {
    name,
    run: (output) =>
      compiled.flatMap((pattern) => {
        const match = pattern.exec(output)
        return match ? [`found ${quote(match[0])}`] : []
      }),
  }
}

/** Programming code where prose was wanted: fenced blocks, and lines only a program has. */
export function noCode(): FormatCheck {
  return forbiddenPatterns(
    [
      /^\s*(?:```|~~~)/m,
      /^\s*(?:import\s+[\w{*]|from\s+[\w.]+\s+import\s|def\s+\w+\s*\(|class\s+\w+\s*[:({]|#include\s*<|public\s+static\s)/m,
      /^\s*(?:const|let|var|function)\s+\w+\s*[=(]/m,
      /^.*[;{]\s*\n\s*(?:\}|return\b).*$/m,
    ],
    'no code',
  )
}

/** Special tokens and turn markers of chat templates that leaked into the text. */
export function noTemplateTokens(): FormatCheck {
  return forbiddenPatterns(
    [/<\|[a-z0-9_]+\|>/i, /\[\/?INST\]/, /<<\/?SYS>>/, /<\/?s>/, /^#{2,3} (?:Instruction|Response|Input):/m],
    'no template tokens',
  )
}

/** The output begins by repeating the prompt, or contains a long stretch of it word for word. @param words default 20. */
export function noPromptEcho({ words = 20 } = {}): FormatCheck {
  return {
    name: 'no prompt echo',
    run(output, { prompt }) {
      if (!prompt) return []
      const split = (text: string) => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []
      const asked = split(prompt)
      const length = Math.min(words, asked.length)
      // A prompt of a word or two is bound to recur in a good answer.
      if (length < 4) return []
      const said = split(output)
      const stretches = new Set(
        asked.slice(0, asked.length - length + 1).map((_, i) => asked.slice(i, i + length).join(' ')),
      )
      for (let i = 0; i + length <= said.length; i++) {
        const stretch = said.slice(i, i + length).join(' ')
        if (stretches.has(stretch)) return [`${length} words of the prompt are repeated: ${quote(stretch)}`]
      }
      return []
    },
  }
}

/** Output length in words. */
export function lengthBetween({
  min = 0,
  max = Number.POSITIVE_INFINITY,
}: {
  min?: number
  max?: number
}): FormatCheck {
  return {
    name: 'length',
    run(output) {
      const count = output.match(/\S+/g)?.length ?? 0
      if (count < min) return [`${count} words, at least ${min} wanted`]
      return count > max ? [`${count} words, at most ${max} wanted`] : []
    },
  }
}

/**
 * The output is JSON that a JSON Schema (draft 2020-12) accepts. A fence around the JSON is allowed.
 *
 * @throws {TunesmithError} `invalid_options` when the schema itself is not valid.
 */
export function jsonSchema(schema: object | boolean, name = 'JSON schema'): FormatCheck {
  // Formats such as "date" are annotations in draft 2020-12, not rules.
  const ajv = new Ajv2020({ allErrors: true, strict: false, validateFormats: false })
  let validate: ReturnType<typeof ajv.compile>
  try {
    validate = ajv.compile(schema)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw invalidOptions(`The JSON schema cannot be used: ${reason}`, { where: 'jsonSchema', cause })
  }
  return {
    name,
    run(output) {
      const fenced = /^\s*```(?:json)?\s*\n([\s\S]*?)\n?```\s*$/.exec(output)
      let value: unknown
      try {
        value = JSON.parse(fenced ? fenced[1] : output)
      } catch (error) {
        return [`not JSON: ${(error as Error).message}`]
      }
      if (validate(value)) return []
      return (validate.errors ?? []).map(({ instancePath, message, params }) => {
        const detail = 'additionalProperty' in params ? `: ${quote(String(params.additionalProperty))}` : ''
        return `${instancePath || 'the whole'} ${message ?? 'is not valid'}${detail}`
      })
    },
  }
}
