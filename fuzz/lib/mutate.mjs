/** Damage to files: bytes changed anywhere, and values changed inside of JSON. */

const TEXTS = [
  '"',
  ',',
  '\n',
  '\r',
  '{',
  '}',
  '[',
  ']',
  ':',
  '\\',
  '\0',
  '\ufeff',
  '\xff',
  'null',
  '1e999',
  '""""',
  '  ',
  '- ',
  '{{',
  '%}',
  '|',
]

/** One to four changes: bytes and bits flipped, cut, inserted, repeated or overwritten; every second one near the end. */
export function mutateBytes(original, random) {
  let bytes = Buffer.from(original)
  for (let changes = 1 + random.int(4); changes > 0 && bytes.length > 0; changes--) {
    const tail = Math.min(bytes.length, 5000)
    const at = random.int(2) === 0 ? random.int(bytes.length) : bytes.length - 1 - random.int(tail)
    const length = Math.min(bytes.length - at, 1 + random.int(24))
    const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)]
    const insert = (middle, rest = after) => Buffer.concat([before, middle, rest])
    const ways = [
      () => insert(Buffer.from([random.int(256)]), after.subarray(1)),
      () => insert(Buffer.from([bytes[at] ^ (1 << random.int(8))]), after.subarray(1)),
      () => insert(Buffer.alloc(length, pick([0, 0x7f, 0xff], random)), after.subarray(length)),
      () => insert(Buffer.from(pick(TEXTS, random), 'latin1')),
      () => insert(Buffer.alloc(0), after.subarray(length)),
      () => insert(after.subarray(0, length)),
      () => (random.int(4) === 0 ? Buffer.from(before) : bytes),
      () => insert(Buffer.from(Array.from({ length }, () => random.int(256)))),
    ]
    bytes = pick(ways, random)()
  }
  return bytes
}

const VALUES = [
  () => null,
  () => true,
  () => -1,
  () => 0,
  () => 0.5,
  () => 1e6,
  () => 1e9,
  () => 2 ** 53,
  () => 1e308,
  () => '',
  () => 'x',
  () => '(a+)+$',
  () => '__proto__',
  () => '\ud800',
  () => 'x'.repeat(10_000),
  () => [],
  () => [null],
  () => ({}),
  () => ({ type: 'Unknown' }),
  () => [[0, 1], ['a']],
]

/**
 * One to three changes to values at random places: another value, another's value, a key left out, doubled or new, lists
 * shuffled or repeated. Every eighth result has its bytes damaged as well.
 */
export function mutateJson(original, random) {
  const root = { value: JSON.parse(original.toString()) }
  for (let changes = 1 + random.int(3); changes > 0; changes--) {
    const places = placesIn(root)
    if (places.length === 0) break
    const [parent, key] = pick(places, random)
    const value = parent[key]
    const put = (other, at = key) => {
      parent[at] = other
    }
    const ways = [
      () => put(pick(VALUES, random)()),
      () => put(pick(VALUES, random)()),
      () => put(structuredClone(pickValue(places, random))),
      () => (Array.isArray(parent) ? parent.splice(key, 1) : delete parent[key]),
      () => (Array.isArray(value) ? value.push(...structuredClone(value.slice(0, 1000))) : put([value])),
      () => (Array.isArray(value) ? value.reverse() : put(value, `${key}_`)),
      () => typeof value === 'number' && put(pick([value + 1, -value, value * 1000, String(value)], random)),
      () => typeof value === 'string' && put(mutateBytes(Buffer.from(value), random).toString()),
    ]
    pick(ways, random)()
  }
  const bytes = Buffer.from(JSON.stringify(root.value, null, 1) ?? 'null')
  return random.int(8) === 0 ? mutateBytes(bytes, random) : bytes
}

/** Every place of a value, those deep inside of long lists and maps thinned out so that each part has its share. */
function placesIn(value, places = [], depth = 0) {
  if (typeof value !== 'object' || value === null || depth > 12) return places
  const keys = Object.keys(value)
  const step = Math.max(1, Math.floor(keys.length / 24))
  for (let i = 0; i < keys.length; i += step) {
    places.push([value, keys[i]])
    placesIn(value[keys[i]], places, depth + 1)
  }
  return places
}

function pickValue(places, random) {
  const [parent, key] = pick(places, random)
  return parent[key] ?? null
}

export function pick(list, random) {
  return list[random.int(list.length)]
}
