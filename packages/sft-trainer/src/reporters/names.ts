/** What `reportTo` may name. */
export const REPORTERS = ['console', 'jsonl', 'chart', 'tensorboard', 'wandb', 'mlflow', 'trackio'] as const
export type ReporterName = (typeof REPORTERS)[number]
