import { execFile } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { connect, TLSSocket, type ConnectionOptions } from 'node:tls';
import { promisify } from 'node:util';
import type { Test } from 'tap';
import t from 'tap';
import { LOCAL_KEY } from '../../src/access/local.ts';
import { healthCommand } from '../../src/cli/health-command.ts';
import { CertificateError, readCertificate } from '../../src/http/certificate.ts';
import type { Json } from '../support/app.ts';
import { jsonLines, spawnMain, startService, type Service } from '../support/process.ts';

const PLACE = 'test/certificates';
const CA = readFileSync(`${PLACE}/root.crt`);
const EVENT = '{"source":"s","event_type":"t","payload":{}}';

/** Files of a certificate that can be replaced. */
function filesOf(folder: string, name: string) {
  const files = { certFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') };
  copyFileSync(`${PLACE}/${name}.crt`, files.certFile);
  copyFileSync(`${PLACE}/${name}.key`, files.keyFile);
  return files;
}

async function start(t: Test, name: string) {
  const files = filesOf(t.testdir({ data: {} }), name);
  const env = {
    DATA_DIR: join(t.testdirName, 'data'),
    TLS_CERT_FILE: files.certFile,
    TLS_KEY_FILE: files.keyFile,
  };
  return { files, service: await startService(t, env) };
}

/** A handshake: the connection, or the code of the error. */
function shake({ url }: Service, options: ConnectionOptions = {}): Promise<TLSSocket | string> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port), ca: CA, ...options }, () => {
      resolve(socket);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code ?? error.message);
    });
  });
}

/** Whose certificate new connections get. */
async function servedName(service: Service): Promise<string> {
  const socket = await shake(service);
  if (typeof socket === 'string') return socket;
  const name = String(socket.getPeerCertificate().subject.CN);
  socket.destroy();
  return name;
}

function ask(
  { url }: Service,
  agent: Agent,
  path: string,
  body = '',
): Promise<{ status: number; name: string }> {
  return new Promise((resolve, reject) => {
    const headers = { 'x-api-key': LOCAL_KEY, 'content-type': 'application/json' };
    const sent = request(
      url + path,
      { method: body === '' ? 'GET' : 'POST', agent, ca: CA, headers },
      (reply) => {
        const name =
          reply.socket instanceof TLSSocket ? String(reply.socket.getPeerCertificate().subject.CN) : '';
        reply.resume().on('end', () => {
          resolve({ status: reply.statusCode ?? 0, name });
        });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

async function logged({ child, output }: Service, msg: RegExp): Promise<Json> {
  for (;;) {
    const line = jsonLines(output()).find((line) => msg.test(String(line['msg'])));
    if (line !== undefined) return line;
    await new Promise((resolve) => child.stdout.once('data', resolve));
  }
}

void t.test('TLS 1.2 and 1.3 are served, with the whole chain and modern ciphers only', async (t) => {
  const { service } = await start(t, 'old');
  t.match(service.url, /^https:/);
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const socket = await shake(service, { minVersion: version, maxVersion: version });
    if (typeof socket === 'string') throw new Error(socket);
    t.equal(socket.getProtocol(), version);
    t.equal(socket.getPeerCertificate(true).issuerCertificate.subject.CN, 'tests intermediate');
    socket.destroy();
  }
  const weak = { ciphers: 'ALL:@SECLEVEL=0' };
  for (const version of ['TLSv1', 'TLSv1.1'] as const) {
    t.match(await shake(service, { ...weak, minVersion: version, maxVersion: version }), /PROTOCOL_VERSION/);
  }
  for (const ciphers of ['ECDHE-ECDSA-AES128-SHA', 'ECDHE-ECDSA-AES256-SHA384', 'AES128-GCM-SHA256']) {
    const refused = await shake(service, { ciphers: `${ciphers}:@SECLEVEL=0`, maxVersion: 'TLSv1.2' });
    t.match(refused, /HANDSHAKE_FAILURE/, ciphers);
  }
  t.match(await logged(service, /^certificate in use$/), { level: 'info', subject: 'CN=old' });
  service.child.kill('SIGTERM');
  t.equal(await service.ended, 0);
});

void t.test('a new certificate under load: no request is lost, and no connection is closed', async (t) => {
  const { service, files } = await start(t, 'old');
  const kept = keptAgent(t);
  t.equal((await ask(service, kept, '/v1/health')).name, 'old');
  let going = true;
  const replies: string[] = [];
  const failures: unknown[] = [];
  const load = Array.from({ length: 8 }, async (_, index) => {
    // Half of the clients make a connection for each request.
    const agent = new Agent({ keepAlive: index % 2 === 0, maxCachedSessions: 0 });
    while (going) {
      try {
        const { status, name } = await ask(service, agent, '/v1/events', EVENT);
        replies.push(name);
        if (status !== 201) failures.push(status);
      } catch (error) {
        failures.push(error);
      }
    }
    agent.destroy();
  });
  for (const name of ['new', 'old', 'new']) {
    copyFileSync(`${PLACE}/${name}.crt`, files.certFile);
    copyFileSync(`${PLACE}/${name}.key`, files.keyFile);
    service.child.kill('SIGHUP');
    // New connections get it from now on, those of the load too.
    while ((await servedName(service)) !== name);
    for (const before = replies.length; !replies.slice(before + 8).includes(name);) await servedName(service);
  }
  t.equal((await ask(service, kept, '/v1/health')).name, 'old', 'an open connection keeps its certificate');
  for (let time = 0; time < 6; time++)
    t.equal(await servedName(service), 'new', 'no new connection gets another');
  going = false;
  await Promise.all(load);
  t.same(failures, []);
  t.same([...new Set(replies)].sort(), ['new', 'old']);

  service.child.kill('SIGTERM');
  t.equal(await service.ended, 0, 'the drain ends the connections of all certificates');
});

void t.test('a stop serves an open connection of a renewed certificate, too', async (t) => {
  const { service, files } = await start(t, 'old');
  copyFileSync(`${PLACE}/new.crt`, files.certFile);
  copyFileSync(`${PLACE}/new.key`, files.keyFile);
  service.child.kill('SIGHUP');
  while ((await servedName(service)) !== 'new');
  const kept = keptAgent(t);
  t.same(await ask(service, kept, '/v1/health'), { status: 200, name: 'new' });

  service.child.kill('SIGTERM');
  while ((await servedName(service)) !== 'ECONNREFUSED');
  t.same(await ask(service, kept, '/v1/events', EVENT), { status: 201, name: 'new' });
  t.equal(await service.ended, 0);
});

/** Of one connection, which stays open between requests. */
function keptAgent(t: Test): Agent {
  const agent = new Agent({ keepAlive: true, maxSockets: 1, maxCachedSessions: 0 });
  t.teardown(() => {
    agent.destroy();
  });
  return agent;
}

void t.test('a pair that cannot be used is an error in the log, and the one before stays', async (t) => {
  const { service, files } = await start(t, 'old');
  service.child.kill('SIGHUP');
  await logged(service, /is the one in use; nothing has changed/);
  copyFileSync(`${PLACE}/new.crt`, files.certFile);
  service.child.kill('SIGHUP');
  const line = await logged(service, /cannot be used; the one before stays in use/);
  t.match(line, { level: 'error', reason: /is not the key of the first certificate/ });
  t.equal(await servedName(service), 'old');
});

void t.test('an expired certificate is served with a warning', async (t) => {
  const { service } = await start(t, 'expired');
  t.match(await logged(service, /has expired/), { level: 'warn', subject: 'CN=expired' });
  t.equal(await servedName(service), 'CERT_HAS_EXPIRED');
});

void t.test('the client speaks to it, given the root in NODE_EXTRA_CA_CERTS', async (t) => {
  const { service } = await start(t, 'old');
  const script = `
    const { Triggers } = await import('./src/client/index.ts');
    const { events } = new Triggers({ baseUrl: '${service.url}', apiKey: '${LOCAL_KEY}' });
    console.log((await events.send({ source: 's', eventType: 't', payload: {} })).eventId);`;
  const args = ['--import=./.ci/typescript.mjs', '--input-type=module', '--eval', script];
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: `${PLACE}/root.crt` };
  const { stdout } = await promisify(execFile)(process.execPath, args, { env });
  t.match(stdout, /^[0-9a-f-]{36}\n$/);
});

void t.test('triggers-api health asks it, whatever is in the certificate', async (t) => {
  const { service, files } = await start(t, 'expired');
  const env = { PORT: new URL(service.url).port, TLS_CERT_FILE: files.certFile };
  for (const args of [[], ['--live']]) {
    const code = await healthCommand(args, { env, stdout: () => true, stderr: (text) => t.fail(text) });
    t.equal(code, 0);
  }
});

void t.test('what is wrong with the files is said by name', (t) => {
  const folder = t.testdir({ empty: '', damaged: CA.toString().replace(/[A-Z]{4}/, '!!!!') });
  const good = filesOf(folder, 'old');
  for (const [files, message] of [
    [{ certFile: join(folder, 'no') }, /^TLS_CERT_FILE: .*no does not exist$/],
    [{ keyFile: folder }, /^TLS_KEY_FILE: .* is a folder$/],
    [{ certFile: join(folder, 'empty') }, /^TLS_CERT_FILE: .* has no certificate in PEM form$/],
    [{ certFile: good.keyFile }, /^TLS_CERT_FILE: .* has no certificate in PEM form$/],
    [{ keyFile: good.certFile }, /^TLS_KEY_FILE: .* has no private key in PEM form$/],
    [{ keyFile: `${PLACE}/old-encrypted.key` }, /^TLS_KEY_FILE: .* has a passphrase/],
    [{ keyFile: `${PLACE}/new.key` }, /^TLS_KEY_FILE: .* is not the key of the first certificate in /],
  ] as const) {
    t.throws(() => readCertificate({ ...good, ...files }), { message }, String(message));
  }
  writeFileSync(good.certFile, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
  t.throws(() => readCertificate(good), CertificateError);
  t.end();
});

void t.test('the service does not start without a usable certificate', async (t) => {
  const env = {
    DATA_DIR: t.testdir(),
    PORT: '0',
    TLS_CERT_FILE: '/nowhere.crt',
    TLS_KEY_FILE: '/nowhere.key',
  };
  const { ended, output } = spawnMain(t, env);
  t.equal(await ended, 1);
  t.match(output(), /Cannot start: TLS_CERT_FILE: \/nowhere.crt does not exist/);
});

void t.test('without TLS, SIGHUP is one line in the log', async (t) => {
  const service = await startService(t, { DATA_DIR: t.testdir() });
  service.child.kill('SIGHUP');
  t.match(await logged(service, /^SIGHUP: there is no certificate/), { level: 'info' });
  t.equal((await fetch(`${service.url}/v1/health`)).status, 200);
});
