import t from 'tap';
import { readConfig, readKeysConfig, readStoreConfig } from '../src/config.ts';
import { ConfigError } from '../src/environment.ts';

void t.test('without any variable the service runs on this machine', (t) => {
  const config = readConfig({});
  t.same(config, {
    host: '127.0.0.1',
    port: 8080,
    metricsPort: null,
    tls: null,
    store: 'embedded',
    dataDir: './data',
    dynamodb: {
      endpoint: null,
      region: 'us-east-1',
      tables: { events: 'triggers-api-events', claims: 'triggers-api-claims', keys: 'triggers-api-keys' },
      createTables: false,
      shards: 4,
      readShards: 4,
    },
    corsOrigins: [],
    authMode: 'local',
    apiKeyCacheTtlSeconds: 30,
    apiKeyCacheSize: 10_000,
    defaultRateLimit: 60_000,
    eventTtlSeconds: 604_800,
    maxAttempts: 10,
    maxWaitsPerKey: 1_000,
    dedupWindowSeconds: 300,
    logLevel: 'info',
    shutdownGraceSeconds: 10,
  });
  t.ok(Object.isFrozen(config));
  t.same(readConfig({ PORT: '', HOST: '' }), config, 'an empty variable is an unset one');
  t.end();
});

void t.test('a bad value names its variable and what it takes', (t) => {
  const cases: [Record<string, string>, string][] = [
    [{ PORT: 'x' }, 'PORT: takes a whole number from 0 to 65535, not "x"'],
    [{ PORT: '65536' }, 'PORT: takes a whole number from 0 to 65535, not "65536"'],
    [{ PORT: '-1' }, 'PORT: takes a whole number from 0 to 65535, not "-1"'],
    [{ METRICS_PORT: 'x' }, 'METRICS_PORT: takes a whole number from 0 to 65535, not "x"'],
    [{ METRICS_PORT: '8080' }, 'METRICS_PORT: must not be 8080, which is PORT; take another one'],
    [{ PORT: '80.5' }, 'PORT: takes a whole number from 0 to 65535, not "80.5"'],
    [{ LOG_LEVEL: 'loud' }, 'LOG_LEVEL: takes fatal, error, warn, info, debug, trace or silent, not "loud"'],
    [{ STORE: 'mysql' }, 'STORE: takes embedded or dynamodb, not "mysql"'],
    [{ AUTH_MODE: 'none' }, 'AUTH_MODE: takes local or keys, not "none"'],
    [{ ALLOW_PUBLIC_TEST_KEY: 'yes' }, 'ALLOW_PUBLIC_TEST_KEY: takes true or false, not "yes"'],
    [{ EVENT_TTL_SECONDS: '0' }, 'EVENT_TTL_SECONDS: takes a whole number from 1 to 315360000, not "0"'],
  ];
  cases.push(
    [
      { DYNAMODB_ENDPOINT_URL: 'localhost:8000' },
      'DYNAMODB_ENDPOINT_URL: takes an http:// or https:// URL, not "localhost:8000"',
    ],
    [
      { INBOX_SHARDS: '8', INBOX_READ_SHARDS: '4' },
      'INBOX_READ_SHARDS: takes a whole number from 8 to 100, not "4"',
    ],
  );
  for (const [env, message] of cases) t.throws(() => readConfig(env), new ConfigError(message));
  t.throws(() => readConfig({ TLS_CERT_FILE: 'c.pem' }), /TLS_KEY_FILE: is missing beside TLS_CERT_FILE/);
  t.throws(() => readConfig({ TLS_KEY_FILE: 'k.pem' }), /TLS_CERT_FILE: is missing beside TLS_KEY_FILE/);
  t.same(readConfig({ TLS_CERT_FILE: 'c', TLS_KEY_FILE: 'k' }).tls, { certFile: 'c', keyFile: 'k' });
  t.throws(
    () => readConfig({ INBOX_SHARDS: '0' }),
    new ConfigError('INBOX_SHARDS: takes a whole number from 1 to 100, not "0"'),
  );
  t.throws(() => readConfig({ PORT: 'x', LOG_LEVEL: 'y' }), /PORT: .*\nLOG_LEVEL: /, 'all at once');
  t.end();
});

void t.test('the well-known test key is kept off production and off the network', (t) => {
  t.throws(() => readConfig({ NODE_ENV: 'production' }), /AUTH_MODE: local .* NODE_ENV=production/);
  for (const HOST of ['0.0.0.0', '::', '10.0.0.1', 'example.com']) {
    t.throws(() => readConfig({ HOST }), /HOST: .* ALLOW_PUBLIC_TEST_KEY=true/);
    t.equal(readConfig({ HOST, ALLOW_PUBLIC_TEST_KEY: 'true' }).host, HOST);
  }
  t.equal(readConfig({ NODE_ENV: 'production', HOST: '0.0.0.0', AUTH_MODE: 'keys' }).authMode, 'keys');
  for (const HOST of ['localhost', '::1', '127.0.0.2']) t.equal(readConfig({ HOST }).host, HOST);
  t.end();
});

void t.test('the command line reads the store, as the service does, and nothing else', (t) => {
  const env = { STORE: 'dynamodb', INBOX_SHARDS: '8', EVENT_TTL_SECONDS: '60', DEFAULT_RATE_LIMIT: '7' };
  const store = readStoreConfig({ ...env, PORT: 'x', AUTH_MODE: 'none', DEFAULT_RATE_LIMIT: 'many' });
  const keys = readKeysConfig({ ...env, PORT: 'x', NODE_ENV: 'production' });
  t.match(readConfig(env), store);
  t.match(readConfig(env), keys);
  t.strictSame(keys, { ...store, defaultRateLimit: 7 });
  t.ok(Object.isFrozen(store) && Object.isFrozen(store.dynamodb) && Object.isFrozen(store.dynamodb.tables));
  t.throws(() => readStoreConfig({ STORE: 'x', EVENT_TTL_SECONDS: '0' }), /STORE: .*\nEVENT_TTL_SECONDS: /);
  t.throws(() => readKeysConfig({ DEFAULT_RATE_LIMIT: 'many' }), /DEFAULT_RATE_LIMIT: takes/);
  t.end();
});

void t.test('origins are taken as browsers write them', (t) => {
  const origins = (value: string) => readConfig({ CORS_ORIGINS: value, AUTH_MODE: 'keys' }).corsOrigins;
  t.same(origins('https://a.example, http://localhost:3000'), ['https://a.example', 'http://localhost:3000']);
  t.equal(origins('*'), '*');
  for (const bad of [
    'a.example',
    'https://a.example/',
    'https://a.example/app',
    'https://A.example',
    'https://a.example:443',
    'https://*.a.example',
    'https://a.example,',
    'https://a.example,*',
    'null',
    'file://',
  ]) {
    t.throws(() => origins(bad), /^CORS_ORIGINS: takes origins like https:/, bad);
  }
  t.throws(() => readConfig({ CORS_ORIGINS: '*' }), /^CORS_ORIGINS: \* lets every page/);
  t.same(readConfig({ CORS_ORIGINS: '*', ALLOW_PUBLIC_TEST_KEY: 'true' }).corsOrigins, '*');
  t.end();
});
