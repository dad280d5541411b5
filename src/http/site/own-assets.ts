/** The files for browsers that are this service's own. */

export const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<rect width="32" height="32" rx="7" fill="#1d4ed8"/>
<path d="M18 4 8 18h7l-1 10 10-14h-7z" fill="#fff"/>
</svg>
`;

export const STYLE = `:root {
  color-scheme: light;
  --ink: #1f2937;
  --quiet: #4b5563;
  --line: #e5e7eb;
  --blue: #1d4ed8;
  --sans: system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif;
  --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace;
}
*, ::before, ::after { box-sizing: border-box; }
body { margin: 0; background: #fff; color: var(--ink); font: 1rem/1.5 var(--sans); }
a { color: var(--blue); }
:focus-visible { outline: 3px solid #93c5fd; outline-offset: 2px; }
.bar {
  display: flex; align-items: center; gap: 0.25rem 1.25rem; flex-wrap: wrap;
  padding: 0.75rem 1.25rem; border-bottom: 1px solid var(--line);
}
.bar a { text-decoration: none; }
.bar a:hover, .bar [aria-current] { text-decoration: underline; text-underline-offset: 0.3em; }
.bar .name { display: flex; align-items: center; gap: 0.5rem; margin-right: auto; color: var(--ink); font-weight: 600; }
.bar img { width: 1.5rem; height: 1.5rem; }
.home { max-width: 56rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
.home h1 { margin: 0 0 0.5rem; font-size: 2rem; line-height: 1.2; }
.home h2 { margin: 2.5rem 0 0.5rem; font-size: 1.15rem; }
.home p { margin: 0 0 1rem; color: var(--quiet); max-width: 42rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)); gap: 1rem; margin: 1.5rem 0; padding: 0; list-style: none; }
.cards a { display: block; height: 100%; padding: 1rem 1.15rem; border: 1px solid var(--line); border-radius: 0.6rem; color: var(--quiet); text-decoration: none; }
.cards a:hover { border-color: var(--blue); }
.cards strong { display: block; color: var(--blue); }
.home code { font-family: var(--mono); font-size: 0.9em; overflow-wrap: anywhere; }
.home p code { white-space: nowrap; }
.home dl { margin: 0; }
.home dl > div { display: grid; grid-template-columns: minmax(0, 21rem) 1fr; gap: 0 1rem; padding: 0.45rem 0; border-top: 1px solid var(--line); }
.home dd { margin: 0; color: var(--quiet); }
.swagger-ui .wrapper { padding: 0 1.25rem; }
.swagger-ui .info { margin: 2rem 0; }
@media (max-width: 40rem) {
  .bar { gap: 0.25rem 0.9rem; font-size: 0.9rem; }
  .home h1 { font-size: 1.6rem; }
  .home dl > div { grid-template-columns: 1fr; }
  .swagger-ui .opblock-body { overflow-x: auto; }
  .swagger-ui .response-col_links { display: none; }
}
`;

/**
 * The test key of AUTH_MODE=local comes with the page and is entered already: who tries things out on their own machine need not
 * look for it. It is not entered as a bearer token as well: beside a key that somebody enters themselves it would be a second one.
 *
 * Swagger UI fills in the examples of optional parameters, too. An example of an idempotency key would then be sent with every
 * event, and the second event be refused; an example of a cursor is of no inbox.
 */
export const START_DOCS = `const root = document.getElementById('swagger-ui');

function withoutOptionalExamples(openApi) {
  for (const operations of Object.values(openApi.paths)) {
    for (const { parameters = [] } of Object.values(operations)) {
      for (const parameter of parameters) if (!parameter.required) delete parameter.example;
    }
  }
  return openApi;
}

const ui = SwaggerUIBundle({
  domNode: root,
  url: root.dataset.document,
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
  validatorUrl: null,
  plugins: [
    {
      statePlugins: {
        spec: {
          wrapActions: { updateJsonSpec: (update) => (openApi) => update(withoutOptionalExamples(openApi)) },
        },
      },
    },
  ],
  onComplete() {
    const key = root.dataset.key;
    if (key === undefined) return;
    const { components } = ui.specSelectors.specJson().toJS();
    for (const [name, { type }] of Object.entries(components?.securitySchemes ?? {})) {
      if (type === 'apiKey') ui.preauthorizeApiKey(name, key);
    }
  },
});
`;

export const START_REDOC = `const root = document.getElementById('redoc');
const sans = getComputedStyle(document.body).fontFamily;
const mono = getComputedStyle(document.documentElement).getPropertyValue('--mono');
Redoc.init(
  root.dataset.document,
  {
    hideLoading: false,
    nativeScrollbars: true,
    theme: {
      colors: { primary: { main: '#1d4ed8' } },
      typography: {
        fontFamily: sans,
        headings: { fontFamily: sans },
        code: { fontFamily: mono },
      },
    },
  },
  root,
);
`;
