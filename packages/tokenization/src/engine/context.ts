/** What normalizers and pre-tokenizers must know beside the text. */
export interface TextContext {
  /** The text goes on from other text: no marker of a beginning is put before it. */
  continued: boolean
}
