const icon = (path: string) => () => (
  <svg viewBox="0 0 24 24" aria-hidden="true">
    <path d={path} />
  </svg>
)

export const MenuIcon = icon('M4 7h16M4 12h16M4 17h10')
export const PlusIcon = icon('M12 5v14M5 12h14')
export const SettingsIcon = icon(
  'M4 7h8m5 0h3M4 17h3m5 0h8M12 7a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0-5 0M7 17a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0-5 0',
)
export const ColumnsIcon = icon('M5 5h14v14H5zM12 5v14')
export const SendIcon = icon('M12 19V5M6 11l6-6 6 6')
export const StopIcon = icon('M8 8h8v8H8z')
export const CopyIcon = icon('M9 9h10v10H9zM15 5H5v10')
export const CheckIcon = icon('M5 12.5l4.5 4.5L19 7.5')
export const AgainIcon = icon('M19 6v5h-5M18.4 11A7 7 0 1 0 18 15.5')
export const EditIcon = icon('M5 19l1-4L16 5l3 3L9 18zM14 7l3 3')
export const TrashIcon = icon('M5 7h14M10 7V5h4v2M7 7l1 12h8l1-12')
export const CloseIcon = icon('M6 6l12 12M18 6L6 18')
