/** A scratch Python environment with the pip requirements `packages`, or the reason why there is none. */
export function pythonVenv(
  name: string,
  packages: string[],
): Promise<{ python: string; reason: '' } | { python: undefined; reason: string }>
