/** torch's defaults. */
const INITIAL_SCALE = 65536
const GROWTH_FACTOR = 2
const BACKOFF_FACTOR = 0.5
const GROWTH_INTERVAL = 2000

export interface GradScalerState {
  scale: number
  /** Steps without overflow since the scale last changed. */
  growthTracker: number
}

/**
 * Dynamic loss scaling, torch's GradScaler: the loss is multiplied before the backward pass, so that small gradients do
 * not vanish in float16, and divided out again in the update. A step whose gradients overflow is left out and halves the
 * scale; 2000 good ones in a row double it.
 */
export class GradScaler {
  #state: GradScalerState

  constructor(readonly enabled: boolean) {
    this.#state = { scale: enabled ? INITIAL_SCALE : 1, growthTracker: 0 }
  }

  get scale(): number {
    return this.#state.scale
  }

  /** Whether an overflow can be answered with a smaller scale, and is then no fault of the data. */
  get canBackOff(): boolean {
    return this.enabled && this.#state.scale > 1
  }

  update(overflow: boolean): void {
    if (!this.enabled) return
    const state = this.#state
    if (overflow) {
      state.scale *= BACKOFF_FACTOR
      state.growthTracker = 0
    } else if (++state.growthTracker === GROWTH_INTERVAL) {
      state.scale *= GROWTH_FACTOR
      state.growthTracker = 0
    }
  }

  state(): GradScalerState {
    return { ...this.#state }
  }

  load(state: GradScalerState): void {
    if (this.enabled) this.#state = { ...state }
  }
}
