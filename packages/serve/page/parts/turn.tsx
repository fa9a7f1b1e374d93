import { useEffect, useRef, useState } from 'preact/hooks'
import type { Turn } from '../talk/conversation'
import type { Talk } from '../talk/talk'
import { AnswerView } from './answer'
import { sends, useHeightOfText } from './composer'
import { CopyButton } from './copy-button'
import { moveOn } from './focus'
import { AgainIcon, EditIcon } from './icons'

export interface TurnProps {
  talk: Talk
  turn: Turn
  isLast: boolean
  /** Whether an answer is under way, to this question or another. */
  answering: boolean
}

function Edit({ talk, turn, isLast, done }: TurnProps & { done(): void }) {
  const [text, setText] = useState(turn.question)
  const field = useHeightOfText(text)
  useEffect(() => field.current!.focus(), [field])
  const send = () => {
    if (text.trim() === '') return
    done()
    talk.edit(turn.id, text.trim())
    moveOn()
  }
  return (
    <form
      class="edit"
      onSubmit={(event) => {
        event.preventDefault()
        send()
      }}
    >
      <textarea
        ref={field}
        aria-label="Edited message"
        value={text}
        onInput={({ currentTarget }) => setText(currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') {
            event.stopPropagation()
            done()
          }
          if (!sends(event)) return
          event.preventDefault()
          send()
        }}
      />
      <div class="edit-foot">
        <span>{isLast ? 'The answer is written anew.' : 'What follows below is removed.'}</span>
        <button type="button" class="plain" onClick={done}>
          Cancel
        </button>
        <button type="submit" class="plain main">
          Ask again
        </button>
      </div>
    </form>
  )
}

export function TurnView(props: TurnProps) {
  const { talk, turn, isLast, answering } = props
  const [editing, setEditing] = useState(false)
  const editButton = useRef<HTMLButtonElement>(null)
  const isUnderWay = isLast && answering
  const again = () => {
    talk.again()
    moveOn()
  }
  const stopEditing = () => {
    setEditing(false)
    requestAnimationFrame(() => editButton.current?.focus())
  }
  return (
    <article class="turn">
      <h2 class="unseen">Question</h2>
      {editing ? (
        <Edit {...props} done={stopEditing} />
      ) : (
        <div class="question">
          <p>{turn.question}</p>
          <div class="actions">
            <CopyButton text={turn.question} label="Copy question" />
            <button
              type="button"
              class="icon"
              aria-label="Edit question"
              title="Edit"
              disabled={answering}
              ref={editButton}
              onClick={() => setEditing(true)}
            >
              <EditIcon />
            </button>
          </div>
        </div>
      )}
      <div class={turn.answers.length > 1 ? 'answers side-by-side' : 'answers'}>
        {turn.answers.map((answer, i) => (
          // Answers stay where they are.
          <AnswerView key={i} answer={answer} />
        ))}
      </div>
      {isLast && !isUnderWay && (
        <button type="button" class="link again" onClick={again}>
          <AgainIcon /> Regenerate
        </button>
      )}
    </article>
  )
}
