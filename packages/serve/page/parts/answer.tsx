import { Component } from 'preact'
import { Markdown } from '../markdown/markdown'
import type { Answer, Source } from '../talk/conversation'
import { CopyButton } from './copy-button'

/** Text that cannot be drawn as Markdown is drawn as it is, and the rest of the page lives. */
class Said extends Component<{ text: string; ended: boolean }, { failed: boolean }> {
  override state = { failed: false }
  override componentDidCatch(error: unknown): void {
    console.error(error)
    this.setState({ failed: true })
  }
  override render({ text, ended }: { text: string; ended: boolean }) {
    return this.state.failed ? <p class="verbatim">{text}</p> : <Markdown text={text} ended={ended} />
  }
}

const turnsText = (count: number) => (count === 1 ? 'The earliest turn' : `The ${count} earliest turns`)

/** What the reader should know of an answer besides its text. */
function notesOf({ end, leftOut, error }: Answer): string[] {
  return [
    ...(leftOut
      ? [`${turnsText(leftOut)} did not fit into what the model reads and ${leftOut === 1 ? 'was' : 'were'} left out.`]
      : []),
    ...(end === 'length' ? ['Ended at its longest length.'] : []),
    ...(end === 'stopped' ? ['Stopped.'] : []),
    ...(error ? [error] : []),
  ]
}

const Sources = ({ sources }: { sources: Source[] }) => (
  <details class="sources">
    <summary>{sources.length === 1 ? '1 source' : `${sources.length} sources`}</summary>
    <ol>
      {sources.map(({ title, text, number }, i) => (
        <li key={i} value={number}>
          <strong>{title}</strong>
          <p>{text}</p>
        </li>
      ))}
    </ol>
  </details>
)

export function AnswerView({ answer }: { answer: Answer }) {
  const { model, text, end, sources = [] } = answer
  const isWaiting = !text && !end
  return (
    <article class="answer" aria-label={`Answer of ${model}`} aria-busy={!end}>
      <div class="answer-head">
        <span>{model}</span>
        {text && <CopyButton text={text} label="Copy answer" />}
      </div>
      {isWaiting ? <div class="waiting" /> : <Said text={text} ended={end !== undefined} />}
      {sources.length > 0 && <Sources sources={sources} />}
      {notesOf(answer).map((note) => (
        <p key={note} class={end === 'error' && note === answer.error ? 'note wrong' : 'note'}>
          {note}
        </p>
      ))}
    </article>
  )
}
