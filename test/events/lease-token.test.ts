import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { sampleEvent } from '../../bench/harness/event.ts';
import { decodeLeaseToken, encodeLeaseToken } from '../../src/events/lease-token.ts';

const event = sampleEvent(1_767_225_600_123_456, { tenant: 'acme' });
const leaseId = randomBytes(16).toString('hex');
const token = encodeLeaseToken(event, leaseId);

void t.test('a token names its event and its lease', (t) => {
  t.match(token, /^[\w-]{66}$/);
  t.strictSame(decodeLeaseToken('acme', token), {
    eventId: event.id,
    leaseId,
    createdAt: event.createdAt,
  });
  t.end();
});

void t.test('a token of another tenant, of another kind or altered is none', (t) => {
  t.equal(decodeLeaseToken('globex', token), undefined);
  t.equal(decodeLeaseToken('', ''), undefined);
  for (let at = 0; at < token.length; at++) {
    const other = token[at] === 'A' ? 'B' : 'A';
    t.equal(decodeLeaseToken('acme', token.slice(0, at) + other + token.slice(at + 1)), undefined);
  }
  for (const altered of [token.slice(1), token.slice(0, -1), `${token}A`, `${token}=`, ` ${token}`]) {
    t.equal(decodeLeaseToken('acme', altered), undefined);
  }
  fc.assert(fc.property(fc.string(), (text) => decodeLeaseToken('acme', text) === undefined));
  t.end();
});
