import type { Talk } from '../talk/talk'
import { CloseIcon } from './icons'

/** What went wrong, or was done, apart from an answer. */
export function Told({ talk }: { talk: Talk }) {
  const { notice, server } = talk.state
  if (!notice) return null
  return (
    <div class="told" role="alert">
      <p>{notice}</p>
      {server === 'silent' ? (
        <button type="button" class="plain" onClick={() => void talk.connect()}>
          Try again
        </button>
      ) : (
        <button type="button" class="icon" aria-label="Close message" onClick={() => talk.dismiss()}>
          <CloseIcon />
        </button>
      )}
    </div>
  )
}
