const SAFE = ['http:', 'https:', 'mailto:']

/** The address of a link that may be followed: http, https or mailto; undefined for every other. */
export function safeLink(href: string): string | undefined {
  if (!URL.canParse(href)) return undefined
  const { protocol, href: whole } = new URL(href)
  return SAFE.includes(protocol) ? whole : undefined
}
