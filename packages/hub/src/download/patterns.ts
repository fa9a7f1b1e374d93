import { invalidOptions } from '@tunesmith/core'

/**
 * Which paths a pattern means, as Python's `fnmatch.fnmatchcase`: `*` any text (`/` too), `?` one character, `[ab]`,
 * `[!ab]`; a pattern that ends in `/` means all below that folder.
 */
export function matchesPattern(path: string, pattern: string): boolean {
  return toRegExp(pattern).test(path.replaceAll('\\', '/'))
}

function toRegExp(pattern: string): RegExp {
  const glob = pattern.replaceAll('\\', '/').replace(/\/$/, '/*').replace(/\*+/g, '*')
  let source = ''
  for (let i = 0; i < glob.length; i++) {
    const character = glob[i]!
    const set = character === '[' ? /^\[(!?)(\]?[^\]]*)\]/.exec(glob.slice(i)) : null
    if (set) {
      source += `[${set[1] ? '^' : ''}${set[2]!.replace(/[\\\]^[]/g, '\\$&')}]`
      i += set[0].length - 1
    } else source += character === '*' ? '.*' : character === '?' ? '.' : character.replace(/[.+^${}()|[\]\\]/g, '\\$&')
  }
  try {
    return new RegExp(`^${source}$`, 'su')
  } catch (cause) {
    throw invalidOptions(`${JSON.stringify(pattern)} is not a pattern`, {
      remedy: 'Use *, ? and [abc], as in "*.json"',
      cause,
    })
  }
}

/** The files that some allowed pattern means (all, when none is given) and no ignored one. */
export function filterFiles<File extends { path: string }>(
  files: readonly File[],
  allowPatterns: readonly string[] | undefined,
  ignorePatterns: readonly string[] | undefined,
): File[] {
  return files.filter(
    ({ path }) =>
      (allowPatterns === undefined || allowPatterns.some((pattern) => matchesPattern(path, pattern))) &&
      !ignorePatterns?.some((pattern) => matchesPattern(path, pattern)),
  )
}
