import { execFileSync } from 'node:child_process';
import { quoted } from './root.ts';

const CA_FILE = '/dev/shm/ca-certificates.crt';

/**
 * How npm in a build reaches the registry: as npm and Node outside do, by the variables for proxies and with the certificates
 * that are trusted here. `mounts` is for a shell that has `$ROOT` mounted.
 */
export function registryAccess(): { env: [string, string][]; mounts: string } {
  const env: [string, string][] = [['npm_config_registry', npmConfig('registry') ?? '']];
  for (const name of ['http_proxy', 'https_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY']) {
    const value = process.env[name];
    if (value) env.push([name, value]);
  }
  const caFile = npmConfig('cafile') ?? process.env['NODE_EXTRA_CA_CERTS'];
  if (!caFile) return { env, mounts: '' };
  env.push(['npm_config_cafile', CA_FILE], ['NODE_EXTRA_CA_CERTS', CA_FILE]);
  return { env, mounts: `cp -L ${quoted(caFile)} "$ROOT${CA_FILE}"\n` };
}

function npmConfig(name: string): string | undefined {
  const value = execFileSync('npm', ['config', 'get', name], { encoding: 'utf8' }).trim();
  return value === 'null' || value === 'undefined' || value === '' ? undefined : value;
}
