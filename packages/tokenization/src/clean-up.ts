/** The clean-up of spaces before punctuation and contractions that transformers 4 did after decoding. */
export function cleanUpSpaces(text: string): string {
  const pairs: [string, string][] = [
    [' .', '.'],
    [' ?', '?'],
    [' !', '!'],
    [' ,', ','],
    [" ' ", "'"],
    [" n't", "n't"],
    [" 'm", "'m"],
    [" 's", "'s"],
    [" 've", "'ve"],
    [" 're", "'re"],
  ]
  return pairs.reduce((out, [from, to]) => out.replaceAll(from, to), text)
}
