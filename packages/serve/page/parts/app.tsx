import { useEffect, useReducer, useRef, useState } from 'preact/hooks'
import type { Talk } from '../talk/talk'
import { Composer } from './composer'
import { Conversations } from './conversations'
import { Header } from './header'
import { KeyForm } from './key-form'
import { SettingsDialog } from './settings-dialog'
import { Thread } from './thread'
import { Told } from './told'

function useTalk(talk: Talk) {
  const [, redraw] = useReducer((count: number) => count + 1, 0)
  useEffect(() => talk.subscribe(() => redraw(undefined)), [talk])
  return talk.state
}

export function App({ talk, notice }: { talk: Talk; notice: string }) {
  const state = useTalk(talk)
  const settings = useRef<HTMLDialogElement>(null)
  const [menu, setMenu] = useState(false)
  const { theme } = state.settings
  const closeMenu = () => {
    setMenu(false)
    requestAnimationFrame(() => document.getElementById('menu')?.focus())
  }
  useEffect(() => {
    document.documentElement.dataset.theme = theme
  }, [theme])
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== 'Escape' || document.querySelector('dialog[open]')) return
      if (menu) closeMenu()
      else talk.stop()
    }
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [talk, menu])

  return (
    <>
      {state.server !== 'key' && (
        <a class="skip" href="#message">
          To the message
        </a>
      )}
      <Conversations talk={talk} isOpen={menu} close={closeMenu} />
      <div class="room" inert={menu}>
        <Header talk={talk} openMenu={() => setMenu(true)} openSettings={() => settings.current?.showModal()} />
        <main>
          <h1 class="unseen">Chat</h1>
          {state.server === 'key' ? <KeyForm talk={talk} /> : <Thread talk={talk} />}
          <Told talk={talk} />
          {state.server !== 'key' && <Composer talk={talk} />}
          <p class="app-notice">{notice}</p>
        </main>
      </div>
      <SettingsDialog talk={talk} dialog={settings} />
      <div class="unseen" role="status">
        {state.spoken}
      </div>
    </>
  )
}
