import { useState } from 'preact/hooks'
import type { Talk } from '../talk/talk'

export function KeyForm({ talk }: { talk: Talk }) {
  const [key, setKey] = useState('')
  return (
    <form
      class="key"
      onSubmit={(event) => {
        event.preventDefault()
        void talk.connect(key.trim())
      }}
    >
      <h2>This server asks for a key</h2>
      <label>
        API key
        <input
          type="password"
          autocomplete="off"
          required
          value={key}
          onInput={({ currentTarget }) => setKey(currentTarget.value)}
        />
      </label>
      <button type="submit" class="plain main">
        Connect
      </button>
      <p class="note">It is kept until this tab is closed.</p>
    </form>
  )
}
