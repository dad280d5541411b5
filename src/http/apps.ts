import type { TemplatedApp } from 'uWebSockets.js';
import { CertificateError, type TlsFiles } from './certificate.ts';
import { App, SSLApp } from './uws.ts';

/** What both builds have and the types of the older one leave out. */
interface Handing {
  getDescriptor(): unknown;
  addChildAppDescriptor(descriptor: unknown): void;
  removeChildAppDescriptor(descriptor: unknown): void;
}
type ServingApp = TemplatedApp & Handing;

/** What listens and serves: one app of uWebSockets, and with TLS one more for each later certificate. */
export interface Apps {
  /** The one that listens. */
  readonly first: TemplatedApp;
  /**
   * Serves new connections with the certificate that the files hold now. Those that are open keep theirs. Throws a
   * `CertificateError`, and nothing has changed then; a `TypeError` if there is no TLS.
   */
  readonly renewCertificate: () => void;
  /** Closes all connections. */
  close(): void;
}

/** TLS 1.2 with forward secrecy and authenticated encryption only (RFC 9325, section 4.2). OpenSSL chooses those of TLS 1.3. */
const CIPHERS = 'ECDHE+AESGCM:ECDHE+CHACHA20';

/**
 * uWebSockets reads certificates only when an app is made. So a new app is made, and the app that listens hands it each
 * connection that it accepts: its own way to spread connections over worker threads, within one thread. The socket that listens
 * stays, so that no connection is lost between two of them (decision 026).
 *
 * @param mount says what an app serves.
 */
export function createApps(tls: TlsFiles | null, mount: (app: TemplatedApp) => void): Apps {
  const first = make(tls);
  mount(first);
  const apps = [first];
  return {
    first,
    renewCertificate() {
      if (tls === null) throw new TypeError('there is no TLS');
      const next = make(tls);
      mount(next);
      const before = apps.at(-1);
      first.addChildAppDescriptor(next.getDescriptor());
      if (before !== undefined && before !== first) first.removeChildAppDescriptor(before.getDescriptor());
      apps.push(next);
    },
    close() {
      for (const app of apps) app.close();
    },
  };
}

function make(tls: TlsFiles | null): ServingApp {
  if (tls === null) return App() as ServingApp;
  const { certFile, keyFile } = tls;
  try {
    const options = { cert_file_name: certFile, key_file_name: keyFile, ssl_ciphers: CIPHERS };
    return SSLApp(options) as ServingApp;
  } catch {
    throw new CertificateError(`TLS_CERT_FILE, TLS_KEY_FILE: OpenSSL refuses ${certFile} with ${keyFile}`);
  }
}
