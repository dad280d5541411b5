import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** Paths of PEM files. */
export interface TlsFiles {
  /** The certificate, and behind it those of the chain. */
  readonly certFile: string;
  readonly keyFile: string;
}

/** What the files hold. */
export interface Certificate {
  readonly subject: string;
  /** SHA-256, as `openssl x509 -fingerprint -sha256` prints it. */
  readonly fingerprint: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Differs if anything in the two files differs. */
  readonly digest: string;
}

/** The files cannot be used. The message names the variable and the file, and says why. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError';
}

/**
 * Reads both files and checks that they belong together: uWebSockets.js, which reads them again, says only that it failed.
 * Throws a `CertificateError`. An expired certificate is no error: the caller warns.
 */
export function readCertificate({ certFile, keyFile }: TlsFiles): Certificate {
  const certText = read('TLS_CERT_FILE', certFile);
  const keyText = read('TLS_KEY_FILE', keyFile);
  const pem = /-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g;
  const chain = [...certText.matchAll(pem)].map(([each]) =>
    parse('TLS_CERT_FILE', certFile, () => new X509Certificate(each)),
  );
  const [first] = chain;
  if (first === undefined)
    throw new CertificateError(`TLS_CERT_FILE: ${certFile} has no certificate in PEM form`);
  if (!keyText.includes('PRIVATE KEY-----')) {
    throw new CertificateError(`TLS_KEY_FILE: ${keyFile} has no private key in PEM form`);
  }
  if (/ENCRYPTED/.test(keyText)) {
    throw new CertificateError(`TLS_KEY_FILE: ${keyFile} has a passphrase; give a file without one`);
  }
  const key = parse('TLS_KEY_FILE', keyFile, () => createPrivateKey(keyText));
  if (!first.checkPrivateKey(key)) {
    throw new CertificateError(
      `TLS_KEY_FILE: ${keyFile} is not the key of the first certificate in ${certFile} (TLS_CERT_FILE)`,
    );
  }
  return {
    subject: first.subject.replaceAll('\n', ', '),
    fingerprint: first.fingerprint256,
    notBefore: new Date(first.validFrom),
    notAfter: new Date(first.validTo),
    digest: createHash('sha256').update(certText).update(keyText).digest('hex'),
  };
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  EACCES: 'may not be read by this user',
  EISDIR: 'is a folder',
};

function read(variable: string, file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new CertificateError(`${variable}: ${file} ${REASONS[code ?? ''] ?? message}`);
  }
}

function parse<T>(variable: string, file: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new CertificateError(`${variable}: ${file} is damaged: ${(error as Error).message}`);
  }
}
