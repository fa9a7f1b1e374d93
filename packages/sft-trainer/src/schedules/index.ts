export { createSchedule } from './create-schedule'
export { SCHEDULES, type ScheduleKwargs, type ScheduleName } from './kwargs'
export type { Schedule, ScheduleOptions } from './schedule'
