/** JSON documents from outside, checked by the validators that are generated from schemas/. */

/** A validator as ajv generates it: the errors of its last call stay behind. */
export interface Validator {
  (value: unknown): boolean;
  errors?: readonly { instancePath: string; message?: string }[] | null;
}

/** The error for a reason why a document cannot be used. */
type Refusal = (why: string, options?: { cause: unknown }) => Error;

/** The document as its schema describes it. Throws what `refuse` makes of a reason. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller names the type of its schema
export function parseDocument<Document>(text: string, validate: Validator, refuse: Refusal): Document {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw refuse("it is no JSON", { cause });
  }
  return checkDocument<Document>(value, validate, refuse);
}

/** The same of what has been parsed. The reason begins with the place as a JSON pointer (RFC 6901). */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller names the type of its schema
export function checkDocument<Document>(value: unknown, validate: Validator, refuse: Refusal): Document {
  const isValid = (document: unknown): document is Document => validate(document);
  if (isValid(value)) return value;
  // The last error is about the whole value where a value may have several forms.
  const { instancePath, message } = validate.errors!.at(-1)!;
  throw refuse(`${instancePath === "" ? "/" : instancePath} ${message}`);
}
