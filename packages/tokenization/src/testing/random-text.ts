/** mulberry32: a small generator that Python can repeat exactly (scripts/differential.py). */
export class SmallRandom {
  private state: number

  constructor(seed: number) {
    this.state = seed >>> 0
  }

  below(n: number): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let t = this.state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) % n
  }
}

const BREAKS = ['\n', '\r\n', '\t', ' \n', '\u00a0', '\u3000', '\u0085', '\u2028', '\ufeff', '  \n\n ']
const BLOCKS = [
  [0xa1, 0x500],
  [0x900, 0x800],
  [0x3040, 0x180],
  [0x4e00, 0x5000],
  [0xac00, 0x2ba0],
  [0x300, 0x70],
] as const
const ODDITIES = [
  "'s",
  "'LL",
  '\u2019t',
  "'\u017f",
  'e\u0301',
  '\ufb05',
  '<0x41>',
  '▁',
  '<|end|> ',
  ' <|start|>',
  '</s>',
  'riverbank',
]

/** The `index`-th random text: words, spaces, numbers, punctuation, scripts, emoji, any code point, special tokens. */
export function randomText(index: number, words: readonly string[]): string {
  const r = new SmallRandom(index * 7919 + 17)
  let out = ''
  const repeat = (times: number, make: () => string) => {
    for (let i = 0; i < times; i++) out += make()
  }
  for (let n = 1 + r.below(12); n > 0; n--) {
    const kind = r.below(12)
    if (kind <= 3) out += words[r.below(words.length)]
    else if (kind === 4) out += ' '.repeat(1 + r.below(4))
    else if (kind === 5) out += BREAKS[r.below(10)]
    else if (kind === 6) {
      const digits = 1 + r.below(6)
      out += String(r.below(10 ** digits))
    } else if (kind === 7) repeat(1 + r.below(6), () => String.fromCharCode(0x21 + r.below(94)))
    else if (kind === 8) {
      const [low, size] = BLOCKS[r.below(6)]!
      repeat(1 + r.below(6), () => String.fromCodePoint(low + r.below(size)))
    } else if (kind === 9)
      repeat(
        1 + r.below(3),
        () => String.fromCodePoint(0x1f300 + r.below(0x700)) + ['', '\u200d', '\ufe0f'][r.below(3)],
      )
    else if (kind === 10)
      repeat(1 + r.below(4), () => {
        const c = r.below(0x2f000)
        return String.fromCodePoint(c < 0xd800 ? c : c + 0x800)
      })
    else out += ODDITIES[r.below(12)]
  }
  return out
}

const MARKS = ['\u0301', '\u0308', '\u0327', '\u0323', '\u0345', '\u094d', '\u200d', '\ufe0f', '\u3099', '\u0300']
const CONTROLS = ['\u0000', '\u0007', '\u000b', '\u001f', '\u007f', '\u00ad', '\u200b', '\u2060', '\ue000', '\ufffd']
const ADDED = ['cat', ' lead', '[A]', 'Ünder', 'ünder', 'river', 'riverbank', 'ø', '  ', '<mask>', '  <mask>  ', '</s>']
const THORNS = [
  'ΑΣ σας',
  'İI\u0307',
  '\u1100\u1161\u11a8',
  '각\u0301',
  'ﬁne',
  '½①',
  'Ａｶ\u3099',
  '\u0915\u094d\u0937',
  '©\u200d®\u0300',
  '\u0600a',
  '…№',
  'ǅ ß',
  '中文 字',
  '<0x41><0xE7>',
  '▁_a_▁',
  "do not n't 's .",
]

/** As {@link randomText}, with more of what normalizers, pre-tokenizers and added tokens trip over. */
export function thornyText(index: number, words: readonly string[]): string {
  const r = new SmallRandom(index * 6151 + 29)
  const pick = (list: readonly string[]) => list[r.below(list.length)]!
  let out = ''
  for (let n = 1 + r.below(10); n > 0; n--) {
    const kind = r.below(12)
    if (kind <= 1) out += pick(words)
    else if (kind === 2) out += pick(words).toUpperCase()
    else if (kind === 3) out += ' '.repeat(1 + r.below(3))
    else if (kind === 4) out += pick(BREAKS)
    else if (kind === 5) out += [...pick(words)][0] + pick(MARKS) + (r.below(2) === 0 ? pick(MARKS) : '')
    else if (kind === 6) out += pick(CONTROLS)
    else if (kind === 7) out += pick(ADDED)
    else if (kind === 8) out += pick(THORNS)
    else if (kind === 9) out += String.fromCodePoint(0x20 + r.below(0x2e00))
    else if (kind === 10) {
      const [low, size] = BLOCKS[r.below(6)]!
      for (let k = 1 + r.below(3); k > 0; k--) out += String.fromCodePoint(low + r.below(size))
    } else out += String(r.below(2000)) + String.fromCharCode(0x21 + r.below(94))
  }
  return out
}
