import js from '@eslint/js';
import boundaries from 'eslint-plugin-boundaries';
import prettier from 'eslint-config-prettier';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';
import { house } from './.ci/house.mjs';

const arrows = {
  plugins: { boundaries },
  files: ['src/**/*.ts', 'bench/**/*.ts', 'test/**/*.ts'],
  settings: {
    'boundaries/elements': [
      { type: 'embedded', pattern: 'src/store/embedded' },
      { type: 'dynamodb', pattern: 'src/store/dynamodb' },
      { type: 'stores', pattern: 'src/store/open-store.ts', mode: 'full' },
      { type: 'port', pattern: 'src/store' },
      { type: 'http-v1', pattern: 'src/http/v1' },
      { type: 'http-unversioned', pattern: 'src/http/unversioned' },
      { type: 'http-site', pattern: 'src/http/site' },
      { type: 'http-openapi', pattern: 'src/http/openapi' },
      { type: 'http', pattern: 'src/http' },
      { type: 'events', pattern: 'src/events' },
      { type: 'access', pattern: 'src/access' },
      { type: 'metrics', pattern: 'src/metrics' },
      { type: 'cli', pattern: 'src/cli' },
      { type: 'client', pattern: 'src/client' },
      { type: 'lambda', pattern: 'src/lambda' },
      { type: 'root', pattern: 'src' },
      { type: 'bench', pattern: 'bench' },
      { type: 'test', pattern: 'test' },
    ],
  },
  rules: {
    'boundaries/dependencies': [
      'error',
      {
        default: 'disallow',
        policies: Object.entries(house).map(([from, to]) => ({
          from: { element: { type: from } },
          allow: { to: { element: { type: to } } },
        })),
      },
    ],
  },
};

export default defineConfig(
  { ignores: ['dist/', '.tap/', 'data/'] },
  js.configs.recommended,
  tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: { projectService: true },
    },
    rules: {
      // TypeScript resolves names; ESLint alone does not know Node's globals.
      'no-undef': 'off',
      'max-lines': ['error', 750],
      'max-lines-per-function': ['error', 75],
      'no-warning-comments': ['error', { terms: ['todo', 'fixme'], location: 'anywhere' }],
    },
  },
  { files: ['**/*.mjs'], ...tseslint.configs.disableTypeChecked },
  arrows,
  prettier,
);
