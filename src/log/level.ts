/** Levels of the log, by name, with the numbers pino gives them: the higher, the more serious. */
export const LOG_LEVELS = { trace: 10, debug: 20, info: 30, warn: 40, error: 50 } as const;
export type LogLevel = keyof typeof LOG_LEVELS;

/** Tells whether a text from outside names a level. */
export const isLogLevel = (name: string): name is LogLevel => Object.hasOwn(LOG_LEVELS, name);
