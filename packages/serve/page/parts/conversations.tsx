import { useEffect, useMemo, useRef } from 'preact/hooks'
import { titleOf } from '../talk/conversation'
import type { Talk } from '../talk/talk'
import { moveOn } from './focus'
import { CloseIcon, PlusIcon, TrashIcon } from './icons'

function download(name: string, text: string): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([text], { type: 'application/json' }))
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}

interface ConversationsProps {
  talk: Talk
  /** On a narrow screen, where they lie over the rest. */
  isOpen: boolean
  close(): void
}

export function Conversations({ talk, isOpen, close }: ConversationsProps) {
  const { conversations, open } = talk.state
  const first = useRef<HTMLButtonElement>(null)
  const file = useRef<HTMLInputElement>(null)
  useEffect(() => {
    if (isOpen) first.current?.focus()
  }, [isOpen])
  const go = (id?: string) => {
    talk.open(id)
    close()
    moveOn()
  }
  const remove = (id: string, title: string) => {
    if (!confirm(`Delete “${title}”? It is only in this browser.`)) return
    talk.remove(id)
    moveOn()
  }
  // Drawn anew only when something of it has changed, not with every piece of an answer.
  // What the buttons do is always the same.
  const list = useMemo(
    () => (
      <ul>
        {conversations.map((conversation) => {
          const title = titleOf(conversation)
          return (
            <li key={conversation.id} class={conversation.id === open.id ? 'is-open' : undefined}>
              <button
                type="button"
                class="title"
                aria-current={conversation.id === open.id ? 'page' : undefined}
                onClick={() => go(conversation.id)}
              >
                <span>{title}</span>
              </button>
              <button
                type="button"
                class="icon"
                aria-label={`Delete ${title}`}
                title="Delete"
                onClick={() => remove(conversation.id, title)}
              >
                <TrashIcon />
              </button>
            </li>
          )
        })}
      </ul>
    ),
    [conversations, open.id],
  )
  return (
    <>
      {isOpen && (
        <button type="button" class="veil" aria-label="Close the conversations" tabIndex={-1} onClick={close} />
      )}
      <nav class={isOpen ? 'side is-open' : 'side'} aria-label="Conversations">
        <div class="side-head">
          <p class="brand">Tunesmith</p>
          <button type="button" class="icon side-close" aria-label="Close" onClick={close}>
            <CloseIcon />
          </button>
        </div>
        <button type="button" class="wide" ref={first} onClick={() => go()}>
          <PlusIcon /> New conversation
        </button>
        {list}
        <div class="side-foot">
          <button type="button" class="link" onClick={() => file.current?.click()}>
            Import
          </button>
          <button
            type="button"
            class="link"
            disabled={conversations.length === 0}
            onClick={() => download('conversations.json', talk.export())}
          >
            Export
          </button>
          <input
            type="file"
            accept="application/json,.json"
            aria-label="File to import"
            hidden
            ref={file}
            onChange={async ({ currentTarget }) => {
              const [chosen] = currentTarget.files ?? []
              if (chosen) await talk.importFile(chosen)
              currentTarget.value = ''
            }}
          />
        </div>
      </nav>
    </>
  )
}
