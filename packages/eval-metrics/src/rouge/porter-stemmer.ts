/**
 * The Porter stemmer (M. F. Porter, "An algorithm for suffix stripping", Program 14.3, 1980) with the extensions NLTK
 * turns on by default, because rouge_score stems with exactly that.
 */
const IRREGULAR = new Map(
  Object.entries({
    ...{ sky: 'sky', skies: 'sky', dying: 'die', lying: 'lie', tying: 'tie', news: 'news', howe: 'howe' },
    ...{ innings: 'inning', inning: 'inning', outings: 'outing', outing: 'outing' },
    ...{ cannings: 'canning', canning: 'canning', proceed: 'proceed', exceed: 'exceed', succeed: 'succeed' },
  }),
)

/** One flag per letter. A "y" is a consonant at the start and after a vowel. */
function consonants(word: string): boolean[] {
  const flags: boolean[] = []
  for (let i = 0; i < word.length; i++) {
    const letter = word[i]
    if (letter === 'y') flags.push(i === 0 || !flags[i - 1])
    else flags.push(!'aeiou'.includes(letter))
  }
  return flags
}

/** Porter's m: how often a consonant follows a vowel. */
function measure(stem: string): number {
  const flags = consonants(stem)
  let m = 0
  for (let i = 1; i < flags.length; i++) if (flags[i] && !flags[i - 1]) m++
  return m
}

function endsDoubleConsonant(word: string): boolean {
  return word.length >= 2 && word.at(-1) === word.at(-2) && consonants(word).at(-1) === true
}

function endsConsonantVowelConsonant(word: string): boolean {
  const flags = consonants(word)
  const n = flags.length
  if (n === 2) return !flags[0] && flags[1]
  return n >= 3 && flags[n - 3] && !flags[n - 2] && flags[n - 1] && !'wxy'.includes(word[n - 1])
}

type Rule = [suffix: string, replacement: string]

/** Rules written `suffix>replacement`. */
const rules = (text: string) => text.split(' ').map((rule) => rule.split('>') as Rule)

/** Applies the first rule whose suffix fits, if the stem before it passes; a failed condition ends the search. */
function firstFitting(word: string, rules: readonly Rule[], passes: (stem: string, suffix: string) => boolean): string {
  for (const [suffix, replacement] of rules) {
    if (!word.endsWith(suffix)) continue
    const stem = word.slice(0, word.length - suffix.length)
    return passes(stem, suffix) ? stem + replacement : word
  }
  return word
}

const always = () => true
const positive = (stem: string) => measure(stem) > 0

const STEP_1A = rules('sses>ss ies>i ss>ss s>')
const STEP_1B = rules('at>ate bl>ble iz>ize')
const STEP_2 = rules(
  'ational>ate tional>tion enci>ence anci>ance izer>ize bli>ble alli>al entli>ent eli>e ousli>ous ization>ize ation>ate ' +
    'ator>ate alism>al iveness>ive fulness>ful ousness>ous aliti>al iviti>ive biliti>ble fulli>ful logi>log',
)
const STEP_3 = rules('icate>ic ative> alize>al iciti>ic ical>ic ful> ness>')
const STEP_4 = rules(
  'al> ance> ence> er> ic> able> ible> ant> ement> ment> ent> ion> ou> ism> ate> iti> ous> ive> ize>',
)

function step1a(word: string): string {
  if (word.length === 4 && word.endsWith('ies')) return `${word[0]}ie`
  return firstFitting(word, STEP_1A, always)
}

function step1b(word: string): string {
  if (word.endsWith('ied')) return word.slice(0, word.length === 4 ? -1 : -2)
  if (word.endsWith('eed')) return measure(word.slice(0, -3)) > 0 ? word.slice(0, -1) : word
  const suffix = ['ed', 'ing'].find((s) => word.endsWith(s) && consonants(word.slice(0, -s.length)).includes(false))
  if (suffix === undefined) return word
  const stem = word.slice(0, -suffix.length)
  if (STEP_1B.some(([ending]) => stem.endsWith(ending))) return firstFitting(stem, STEP_1B, always)
  if (endsDoubleConsonant(stem)) return /[lsz]$/.test(stem) ? stem : stem.slice(0, -1)
  return measure(stem) === 1 && endsConsonantVowelConsonant(stem) ? `${stem}e` : stem
}

function step1c(word: string): string {
  const stem = word.slice(0, -1)
  return word.endsWith('y') && stem.length > 1 && consonants(stem).at(-1) ? `${stem}i` : word
}

function step2(word: string): string {
  if (word.endsWith('alli') && positive(word.slice(0, -4))) return step2(word.slice(0, -2))
  // The "l" of -logi belongs to the stem, so that "geologi" counts as "geol" and is cut.
  return firstFitting(word, STEP_2, (stem, suffix) => positive(suffix === 'logi' ? `${stem}l` : stem))
}

function step4(word: string): string {
  return firstFitting(word, STEP_4, (stem, suffix) => measure(stem) > 1 && (suffix !== 'ion' || /[st]$/.test(stem)))
}

function step5(word: string): string {
  let stem = word
  if (word.endsWith('e')) {
    const cut = word.slice(0, -1)
    const m = measure(cut)
    if (m > 1 || (m === 1 && !endsConsonantVowelConsonant(cut))) stem = cut
  }
  return stem.endsWith('ll') && measure(stem.slice(0, -1)) > 1 ? stem.slice(0, -1) : stem
}

/** @param word lower-case letters and digits. @returns its stem, equal to NLTK's `PorterStemmer().stem(word)`. */
export function porterStem(word: string): string {
  const irregular = IRREGULAR.get(word)
  if (irregular !== undefined) return irregular
  if (word.length <= 2) return word
  return step5(step4(firstFitting(step2(step1c(step1b(step1a(word)))), STEP_3, positive)))
}
