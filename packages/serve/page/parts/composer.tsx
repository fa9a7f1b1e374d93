import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { Talk } from '../talk/talk'
import { beginInField } from './focus'
import { SendIcon, StopIcon } from './icons'

/** Lets a field be as high as its text; its style says how high at most. */
export function useHeightOfText(text: string) {
  const field = useRef<HTMLTextAreaElement>(null)
  useLayoutEffect(() => {
    const area = field.current!
    area.style.height = 'auto'
    area.style.height = `${area.scrollHeight + 2}px`
  }, [text])
  return field
}

/** Enter sends; with Shift, or while an input method composes, it does not. */
export const sends = (event: KeyboardEvent) => event.key === 'Enter' && !event.shiftKey && !event.isComposing

export function Composer({ talk }: { talk: Talk }) {
  const { answering, server, open } = talk.state
  const [text, setText] = useState('')
  const field = useHeightOfText(text)
  // A new conversation begins in the field.
  useEffect(beginInField, [open.id])
  const isReady = server === 'ready' && text.trim() !== ''
  const send = () => {
    if (!isReady || answering) return
    talk.ask(text.trim())
    setText('')
  }
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault()
        send()
      }}
    >
      <textarea
        id="message"
        ref={field}
        rows={1}
        aria-label="Message"
        placeholder="Write a message"
        value={text}
        onInput={({ currentTarget }) => setText(currentTarget.value)}
        onKeyDown={(event) => {
          if (!sends(event)) return
          event.preventDefault()
          send()
        }}
      />
      {answering ? (
        <button type="button" class="round" aria-label="Stop" title="Stop (Esc)" onClick={() => talk.stop()}>
          <StopIcon />
        </button>
      ) : (
        <button type="submit" class="round" aria-label="Send" title="Send (Enter)" disabled={!isReady}>
          <SendIcon />
        </button>
      )}
    </form>
  )
}
