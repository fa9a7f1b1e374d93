import type { Model } from '../talk/api'
import type { Talk } from '../talk/talk'
import { ColumnsIcon, MenuIcon, SettingsIcon } from './icons'

interface PickerProps {
  label: string
  models: readonly Model[]
  value: string
  choose(model: string): void
}

const Picker = ({ label, models, value, choose }: PickerProps) => (
  <select class="picker" aria-label={label} value={value} onChange={({ currentTarget }) => choose(currentTarget.value)}>
    {models.map(({ id, parent }) => (
      <option key={id} value={id}>
        {parent === null && models.length > 1 ? `${id} (base)` : id}
      </option>
    ))}
  </select>
)

interface HeaderProps {
  talk: Talk
  openMenu(): void
  openSettings(): void
}

export function Header({ talk, openMenu, openSettings }: HeaderProps) {
  const { models, model, beside } = talk.state
  return (
    <header>
      <button
        type="button"
        id="menu"
        class="icon menu"
        aria-label="Conversations"
        title="Conversations"
        onClick={openMenu}
      >
        <MenuIcon />
      </button>
      <div class="pickers">
        {models.length > 0 && <Picker label="Model" models={models} value={model} choose={(id) => talk.choose(id)} />}
        {beside !== undefined && (
          <>
            <span>and</span>
            <Picker label="Second model" models={models} value={beside} choose={(id) => talk.chooseBeside(id)} />
          </>
        )}
      </div>
      {models.length > 1 && (
        <button
          type="button"
          class="icon toggle"
          aria-label="Side by side"
          aria-pressed={beside !== undefined}
          title="Two models side by side"
          onClick={() => talk.toggleBeside()}
        >
          <ColumnsIcon />
        </button>
      )}
      <button type="button" class="icon" aria-label="Settings" title="Settings" onClick={openSettings}>
        <SettingsIcon />
      </button>
    </header>
  )
}
