/** A named entity: tokens `start` to `end`, both included. */
export interface Entity {
  type: string
  start: number
  end: number
}

function endsChunk(previous: string, tag: string, sameType: boolean): boolean {
  if (previous === 'E' || previous === 'S') return true
  if ((previous === 'B' || previous === 'I') && (tag === 'B' || tag === 'S' || tag === 'O')) return true
  return previous !== 'O' && previous !== '.' && !sameType
}

function startsChunk(previous: string, tag: string, sameType: boolean): boolean {
  if (tag === 'B' || tag === 'S') return true
  if ((tag === 'E' || tag === 'I') && (previous === 'E' || previous === 'S' || previous === 'O')) return true
  return tag !== 'O' && tag !== '.' && !sameType
}

/** `B-DISEASE` as `['B', 'DISEASE']`; a tag without a type gets `_`. */
function splitTag(tag: string): [prefix: string, type: string] {
  const rest = tag.slice(1)
  const dash = rest.indexOf('-')
  return [tag[0] ?? 'O', (dash === -1 ? rest : rest.slice(dash + 1)) || '_']
}

/** Entities of two sequences, and how many are in both: of the same type, with both ends the same. */
export function matchEntities(predictedTags: readonly string[], wantedTags: readonly string[], strict: boolean) {
  const key = ({ type, start, end }: Entity) => `${start} ${end} ${type}`
  const [predicted, wanted] = [entitiesOf(predictedTags, strict), entitiesOf(wantedTags, strict)]
  const known = new Set(wanted.map(key))
  return { predicted, wanted, correct: predicted.filter((entity) => known.has(key(entity))) }
}

/**
 * Entities of a sequence of BIO (also IOBES) tags. Leniently, as conlleval and seqeval do by default, an `I-` without a
 * beginning, or of another type, begins an entity; with `strict` (seqeval's strict IOB2) only `B-` does.
 */
export function entitiesOf(tags: readonly string[], strict: boolean): Entity[] {
  const entities: Entity[] = []
  let [previous, previousType, start] = ['O', '', 0]
  for (let i = 0; i <= tags.length; i++) {
    const [tag, type] = splitTag(tags[i] ?? 'O')
    const sameType = type === previousType
    if (strict) {
      const inside = (previous === 'B' || previous === 'I') && tag === 'I' && sameType
      if (previous !== 'O' && !inside) entities.push({ type: previousType, start, end: i - 1 })
      if (tag === 'B') start = i
      ;[previous, previousType] = tag === 'B' || inside ? [tag, type] : ['O', '']
      continue
    }
    if (endsChunk(previous, tag, sameType)) entities.push({ type: previousType, start, end: i - 1 })
    if (startsChunk(previous, tag, sameType)) start = i
    ;[previous, previousType] = [tag, type]
  }
  return entities
}
