/** A part of the document. */
export type Json = Readonly<Record<string, unknown>>;

/** The members that have a value. */
export function present(members: Json): Json {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}
