/** Bundles a program from the workspace's sources into one file, in `folder`, and returns that. */
export function buildWorker(entry: string, folder: string): Promise<string>
