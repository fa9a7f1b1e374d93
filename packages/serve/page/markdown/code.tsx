import { CopyButton } from '../parts/copy-button'

/** A block of code with its language and a button that copies it. */
export function Code({ text, language }: { text: string; language?: string }) {
  const name = language?.trim().split(/\s/, 1)[0]
  return (
    <div class="code">
      <div class="code-head">
        <span>{name}</span>
        <CopyButton text={text} label="Copy code" />
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard. */}
      <pre tabIndex={0}>
        <code>{text}</code>
      </pre>
    </div>
  )
}
