import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import type { Test } from 'tap';
import type { Answer } from '../support/app.ts';

/** The answer is JSON of just this schema, its members in their order. */
export function conforms(t: Test, schema: TSchema, answer: Answer): void {
  const errors = Compile(schema).Errors(answer.json);
  t.same(errors, [], 'fits the schema of its route');
  t.same(Object.keys(answer.json), Object.keys((schema as { properties?: object }).properties ?? {}));
  t.equal(answer.headers.get('content-type'), 'application/json; charset=utf-8');
}
