import type { Logger } from 'pino';
import { CertificateError, readCertificate, type Certificate, type TlsFiles } from './http/certificate.ts';

/** The certificate in use, from its files to the server. */
export interface Tls {
  /** On SIGHUP: serves new connections with what the files hold now, or logs an error and goes on with what it has. */
  reload(): void;
}

/**
 * @param first what the files held at the start.
 * @param renew serves new connections with what the files hold; throws a `CertificateError`.
 */
export function startTls(files: TlsFiles, first: Certificate, renew: () => void, logger: Logger): Tls {
  let current = first;
  report(current, 'certificate in use', logger);
  return {
    reload() {
      try {
        const next = readCertificate(files);
        if (next.digest === current.digest) {
          logger.info('SIGHUP: the certificate is the one in use; nothing has changed');
          return;
        }
        renew();
        current = next;
        report(current, 'SIGHUP: new connections get the new certificate', logger);
      } catch (error) {
        if (!(error instanceof CertificateError)) throw error;
        logger.error(
          { reason: error.message },
          'SIGHUP: the new certificate cannot be used; the one before stays in use',
        );
      }
    },
  };
}

function report(
  { subject, fingerprint, notBefore, notAfter }: Certificate,
  msg: string,
  logger: Logger,
): void {
  const members = { subject, fingerprint, not_before: notBefore, not_after: notAfter };
  logger.info(members, msg);
  const now = Date.now();
  if (notAfter.getTime() < now) logger.warn(members, 'the certificate has expired; clients will refuse it');
  if (notBefore.getTime() > now)
    logger.warn(members, 'the certificate is not valid yet; clients will refuse it');
}
