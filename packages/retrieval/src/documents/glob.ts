/** A pattern for paths with `/`: `*` and `?` within a name, `**` over folders, `{a,b}` for one of several. */
export function globExpression(pattern: string): RegExp {
  let depth = 0
  const source = pattern.replace(/\*\*\/|\*\*|\*|\?|\{|\}|,|[.+^$()|[\]\\]/g, (part) => {
    if (part === '**/') return '(?:[^/]+/)*'
    if (part === '**') return '.*'
    if (part === '*') return '[^/]*'
    if (part === '?') return '[^/]'
    if (part === '{') {
      depth++
      return '(?:'
    }
    if (part === '}' && depth > 0) {
      depth--
      return ')'
    }
    if (part === ',') return depth > 0 ? '|' : ','
    return `\\${part}`
  })
  return new RegExp(`^${source}${')'.repeat(depth)}$`, 'u')
}

/** The folder before the first name of a pattern that is one, and the pattern below it. */
export function splitGlob(path: string): { folder: string; pattern: string } | undefined {
  const names = path.split('/')
  const first = names.findIndex((name) => /[*?{]/.test(name))
  if (first === -1) return undefined
  return {
    folder: names.slice(0, first).join('/') || (path.startsWith('/') ? '/' : '.'),
    pattern: names.slice(first).join('/'),
  }
}
