/** Identifiers of engines: file names that are also shown in messages. */
const ID_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

export const isEngineId = (text: string): boolean => ID_PATTERN.test(text);
