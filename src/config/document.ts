/** JSON documents from outside, checked by the validators that are generated from schemas/. */

/** A validator as ajv generates it: the errors of its last call stay behind. */
export interface Validator {
  (value: unknown): boolean;
  errors?: readonly { instancePath: string; message?: string }[] | null;
}

/**
 * The document as its schema describes it. Throws what `refuse` makes of a reason, which begins with the place as a JSON
 * pointer (RFC 6901).
 */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller names the type of its schema
export function parseDocument<Document>(
  text: string,
  validate: Validator,
  refuse: (why: string, options?: { cause: unknown }) => Error,
): Document {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw refuse("it is no JSON", { cause });
  }
  const isValid = (document: unknown): document is Document => validate(document);
  if (isValid(value)) return value;
  // The last error is about the whole value where a value may have several forms.
  const { instancePath, message } = validate.errors!.at(-1)!;
  throw refuse(`${instancePath === "" ? "/" : instancePath} ${message}`);
}
