export { type AppOptions, createApp, type Grounding } from './app'
export { type RunningServer, type ServerOptions, startServer } from './server'
