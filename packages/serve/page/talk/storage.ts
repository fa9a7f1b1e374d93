export type Store = Pick<Storage, 'getItem' | 'setItem' | 'removeItem' | 'key' | 'length'>

/** What lasts as long as the page. */
function memory(): Store {
  const values = new Map<string, string>()
  return {
    get length() {
      return values.size
    },
    key: (i) => [...values.keys()][i] ?? null,
    getItem: (key) => values.get(key) ?? null,
    setItem: (key, value) => void values.set(key, value),
    removeItem: (key) => void values.delete(key),
  }
}

/** A browser's storage; where it is turned off, even to look at it throws. */
export function storage(name: 'localStorage' | 'sessionStorage'): Store {
  try {
    return globalThis[name]
  } catch {
    return memory()
  }
}

/** Keeps what is good to have next time; a storage that is full is no reason to stop. */
export function remember(store: Pick<Store, 'setItem'>, key: string, value: string): void {
  try {
    store.setItem(key, value)
  } catch {}
}
