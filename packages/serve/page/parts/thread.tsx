import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { Talk } from '../talk/talk'
import { type TurnProps, TurnView } from './turn'

/** So near to the end the view goes along with what is added. */
const NEAR_PX = 80

/** Of a longer conversation its end is drawn first. */
const DRAWN = 100

/** Drawn anew only when something of it has changed, not with every piece of another answer. */
const SteadyTurn = ({ talk, turn, isLast, answering }: TurnProps) =>
  useMemo(
    () => <TurnView talk={talk} turn={turn} isLast={isLast} answering={answering} />,
    [talk, turn, isLast, answering],
  )

export function Thread({ talk }: { talk: Talk }) {
  const { open, server, model, beside, answering } = talk.state
  const box = useRef<HTMLDivElement>(null)
  const follows = useRef(true)
  const turns = open.turns.length
  const [whole, setWhole] = useState('')
  const first = whole === open.id ? 0 : Math.max(0, turns - DRAWN)
  // Another conversation, or a turn more, is seen from its end.
  useLayoutEffect(() => {
    follows.current = true
  }, [open.id, turns])
  useLayoutEffect(() => {
    if (follows.current) box.current!.scrollTop = box.current!.scrollHeight
  }, [open])
  return (
    <section
      id="thread"
      class="thread"
      aria-label="Conversation"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard.
      tabIndex={0}
      ref={box}
      onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
        follows.current = scrollHeight - scrollTop - clientHeight < NEAR_PX
      }}
    >
      {turns === 0 ? (
        <div class="welcome">
          {server === 'ready' && <h2>Ask {beside ? `${model} and ${beside}` : model}</h2>}
          {server === 'asked' && <h2>One moment</h2>}
          {server === 'silent' && <h2>Nobody is there</h2>}
          <p>The model runs on this server. Conversations are kept in this browser only.</p>
        </div>
      ) : (
        <>
          {first > 0 && (
            <button type="button" class="link earlier" onClick={() => setWhole(open.id)}>
              Show {first} earlier {first === 1 ? 'turn' : 'turns'}
            </button>
          )}
          {open.turns.slice(first).map((turn, i) => (
            <SteadyTurn key={turn.id} talk={talk} turn={turn} isLast={first + i === turns - 1} answering={answering} />
          ))}
        </>
      )}
    </section>
  )
}
