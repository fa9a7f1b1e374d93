import type { RefObject } from 'preact'
import { SAMPLING, type Settings } from '../talk/settings'
import type { Talk } from '../talk/talk'
import { CloseIcon } from './icons'

const THEMES: { value: Settings['theme']; label: string }[] = [
  { value: 'system', label: 'System' },
  { value: 'light', label: 'Light' },
  { value: 'dark', label: 'Dark' },
]

export function SettingsDialog({ talk, dialog }: { talk: Talk; dialog: RefObject<HTMLDialogElement | null> }) {
  const { system, sampling, theme } = talk.state.settings
  const setNumber = (name: keyof typeof sampling, input: HTMLInputElement) => {
    // What is no number within its limits is not sent; the field says so itself.
    const value = input.value !== '' && input.validity.valid ? input.valueAsNumber : undefined
    const { [name]: _, ...others } = sampling
    talk.change({ sampling: value === undefined ? others : { ...others, [name]: value } })
  }
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes a dialog.
    <dialog
      ref={dialog}
      aria-labelledby="settings-title"
      onClick={({ target, currentTarget }) => target === currentTarget && currentTarget.close()}
    >
      <form method="dialog">
        <div class="dialog-head">
          <h2 id="settings-title">Settings</h2>
          <button type="submit" class="icon" aria-label="Close settings">
            <CloseIcon />
          </button>
        </div>
        <label>
          System prompt
          <textarea
            rows={4}
            placeholder="How the model should answer"
            value={system}
            onInput={({ currentTarget }) => talk.change({ system: currentTarget.value })}
          />
        </label>
        <fieldset>
          <legend>Sampling</legend>
          <p class="note">What is left empty is as the model has it.</p>
          {SAMPLING.map(({ name, label, help, ...limits }) => (
            <label key={name} class="row">
              <span>
                {label} <small>{help}</small>
              </span>
              <input
                type="number"
                {...limits}
                value={sampling[name] ?? ''}
                onChange={({ currentTarget }) => setNumber(name, currentTarget)}
              />
            </label>
          ))}
        </fieldset>
        <label class="row">
          Colours
          <select
            value={theme}
            onChange={({ currentTarget }) => talk.change({ theme: currentTarget.value as Settings['theme'] })}
          >
            {THEMES.map(({ value, label }) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </select>
        </label>
      </form>
    </dialog>
  )
}
