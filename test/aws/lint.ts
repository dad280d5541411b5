import { spawnSync } from 'node:child_process';
import t from 'tap';
import { tool } from '../support/aws-tools.ts';
import { TEMPLATES, templateNames } from '../support/templates.ts';

/** Errors, warnings and, with them, what cfn-lint only mentions. */
const LEVELS = ['--include-checks', 'E', 'W', 'I'];

for (const name of templateNames()) {
  void t.test(`cfn-lint finds nothing in ${name}`, (t) => {
    const { status, stdout, stderr } = spawnSync(
      tool('aws/bin/cfn-lint'),
      [...LEVELS, '--template', `${TEMPLATES}/${name}`],
      { encoding: 'utf8' },
    );
    t.equal(stdout + stderr, '');
    t.equal(status, 0);
    t.end();
  });
}
