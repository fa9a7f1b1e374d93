/** What the front matter of a model card needs of YAML. */
export type Yaml = string | number | boolean | readonly Yaml[] | { readonly [key: string]: Yaml | undefined }

/** Text that YAML reads as itself without quotes: no number, date, boolean, null, nor a sign that means something. */
function scalar(value: string | number | boolean): string {
  // YAML 1.1, which Python reads, takes 1e-7 for text.
  if (typeof value === 'number') return String(value).replace(/^(-?\d+)e/, '$1.0e')
  if (typeof value === 'boolean') return String(value)
  const plain = /^[A-Za-z][\w./-]*( [\w./-]+)*$/.test(value) && !/^(true|false|yes|no|on|off|null|y|n)$/i.test(value)
  // A JSON string is a YAML string; the separators U+2028 and U+2029 are line breaks to some readers.
  return plain ? value : JSON.stringify(value).replace(/[\u007f-\u009f\u2028\u2029]/g, toEscape)
}

function toEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** Block style, two spaces; undefined, empty lists and empty objects are left out. */
export function toYaml(value: { readonly [key: string]: Yaml | undefined }, indent = ''): string {
  let text = ''
  for (const [key, entry] of Object.entries(value)) {
    if (entry === undefined || isEmpty(entry)) continue
    text += `${indent}${scalar(key)}:`
    if (Array.isArray(entry)) text += `\n${list(entry, indent)}`
    else if (typeof entry === 'object') text += `\n${toYaml(entry as Record<string, Yaml>, `${indent}  `)}`
    else text += ` ${scalar(entry)}\n`
  }
  return text
}

function isEmpty(entry: Yaml): boolean {
  return typeof entry === 'object' && Object.values(entry).every((each) => each === undefined)
}

function list(entries: readonly Yaml[], indent: string): string {
  return entries
    .map((entry) => {
      if (typeof entry !== 'object') return `${indent}- ${scalar(entry)}\n`
      const block = toYaml(entry as Record<string, Yaml>, `${indent}  `)
      return `${indent}- ${block.slice(indent.length + 2)}`
    })
    .join('')
}
