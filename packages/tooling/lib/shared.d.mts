export function sharedPath(name: string): string | undefined
