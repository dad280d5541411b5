/** `src/`: each element, and what it may import. The ports are the ground: they import nothing but each other. */
const src = {
  // `main.ts`, `app.ts`, which puts the parts together, and what they start from.
  root: [
    'root',
    'http',
    'http-v1',
    'http-unversioned',
    'http-openapi',
    'http-site',
    'lambda',
    'events',
    'access',
    'stores',
    'port',
    'metrics',
  ],
  cli: ['root', 'cli', 'events', 'access', 'stores', 'port', 'embedded', 'dynamodb'],
  client: ['client'],
  http: ['http', 'events', 'access', 'port'],
  // The two contracts share the dispatch and the domain; neither knows the other, and the dispatch knows neither.
  'http-v1': ['http', 'http-v1', 'events', 'access', 'port'],
  'http-unversioned': ['http', 'http-unversioned', 'events', 'access', 'port'],
  // The document is made of any contracts, and knows none of them.
  'http-openapi': ['http', 'http-openapi'],
  // The pages for people know contracts only as what is served: by `http`.
  'http-site': ['http', 'http-site'],
  // Another way to the dispatch than by sockets.
  lambda: ['lambda', 'http', 'access'],
  events: ['events', 'port'],
  access: ['access', 'port'],
  // It measures at the seams of the others, and none of them knows it. Only `app.ts` loads it, when metrics are on.
  metrics: ['metrics', 'http', 'access', 'port'],
  port: ['port'],
  // `open-store.ts`, the only file beside the command line that names the concrete stores.
  stores: ['port', 'events', 'embedded', 'dynamodb'],
  // Adapters know ports and the domain, and not each other.
  embedded: ['embedded', 'port', 'events'],
  dynamodb: ['dynamodb', 'port', 'events'],
};

const service = Object.keys(src);

/** The house. Around the service the arrows go one way too: tests may use the benchmark, neither is used by what is served. */
export const house = {
  ...src,
  bench: [...service, 'bench'],
  test: [...service, 'bench', 'test'],
};
