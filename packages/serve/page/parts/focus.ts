/** Whether a keyboard on the screen comes up with a field's focus. */
const touches = () => matchMedia('(hover: none)').matches

const focus = (id: string) => requestAnimationFrame(() => document.getElementById(id)?.focus({ preventScroll: true }))

/** A conversation begins in the message field. */
export function beginInField(): void {
  if (!touches()) focus('message')
}

/** Moves on from a button that is about to go: to the field, or to the conversation where the field would bring up a keyboard. */
export function moveOn(): void {
  focus(touches() ? 'thread' : 'message')
}
