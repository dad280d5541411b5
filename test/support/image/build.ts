import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { copyContext } from './context.ts';
import { execForm, expand, parseDockerfile, unknown } from './dockerfile.ts';
import type { Stage, Step } from './dockerfile.ts';
import { registryAccess } from './registry.ts';
import { inEnvironment, inRoot, newRoot, quoted } from './root.ts';
import type { Root } from './root.ts';

/** What an image is made of, and how a container of it is started. */
export interface Image {
  readonly root: Root;
  readonly env: Map<string, string>;
  readonly labels: Map<string, string>;
  readonly volumes: string[];
  readonly ports: string[];
  workdir: string;
  /** `<uid>:<gid>`, as numbers. */
  user: string;
  entrypoint: readonly string[];
  cmd: readonly string[];
  stopSignal: string;
  /** The command of HEALTHCHECK, and its options by name. */
  health: { readonly command: readonly string[]; readonly options: ReadonlyMap<string, string> } | undefined;
}

interface Context {
  /** The build context, with what `.dockerignore` leaves of it. */
  readonly files: string;
  /** Kept between builds: what `--mount=type=cache` gives. */
  readonly caches: string;
  readonly built: ReadonlyMap<string, Image>;
}

interface Options {
  /** The folder that stands for the base image. */
  readonly base: string;
  /** Takes all that is built. */
  readonly folder: string;
  readonly caches: string;
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly onStep: (step: Step) => void;
}

/** The base image's own. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Runs the steps of ./Dockerfile, and gives its last stage. Throws at an instruction, or a form of one, that is not known here. */
export function buildImage({ base, folder, caches, buildArgs, onStep }: Options): Image {
  const { args, stages } = parseDockerfile(readFileSync('Dockerfile', 'utf8'));
  const given = new Map(Object.entries(buildArgs));
  const globals = new Map<string, string>();
  for (const step of args) declare(step, globals, given, new Map());
  const files = join(folder, 'context');
  copyContext('.', files);
  const built = new Map<string, Image>();
  let image: Image | undefined;
  for (const stage of stages) {
    checkBase(expand(stage.base, globals));
    image = newImage(newRoot([base], join(folder, `stage-${stage.name}`)));
    runStage(stage, image, { files, caches, built }, { globals, given, onStep });
    built.set(stage.name, image);
  }
  if (image === undefined) throw new Error('the Dockerfile has no stage');
  return image;
}

/** The base that stands in for the image is made of this very text (`.ci/image-base`), so it has to name a version of each. */
function checkBase(name: string): void {
  if (!/^node:\d+\.\d+\.\d+-[a-z]+-slim@sha256:[0-9a-f]{64}$/.test(name)) {
    throw new Error(`the base is not an exact version of Node on a slim Debian with its digest: ${name}`);
  }
}

function newImage(root: Root): Image {
  return {
    ...{ root, env: new Map([['PATH', PATH]]), labels: new Map(), volumes: [], ports: [] },
    ...{ workdir: '/', user: '0:0', entrypoint: [], cmd: ['node'], stopSignal: 'SIGTERM', health: undefined },
  };
}

interface Variables {
  readonly globals: ReadonlyMap<string, string>;
  readonly given: ReadonlyMap<string, string>;
  readonly onStep: Options['onStep'];
}

function runStage({ steps }: Stage, image: Image, context: Context, variables: Variables): void {
  const args = new Map<string, string>();
  for (const step of steps) {
    variables.onStep(step);
    const expanded = (text: string) => expand(text, new Map([...args, ...image.env]));
    if (step.keyword === 'ARG') declare(step, args, variables.given, variables.globals);
    else if (step.keyword === 'RUN') run(step, image, args, context);
    else if (step.keyword === 'COPY') copy(step, expanded(step.text), image, context);
    else configure(step, expanded, image);
  }
}

function declare(
  step: Step,
  args: Map<string, string>,
  given: ReadonlyMap<string, string>,
  globals: ReadonlyMap<string, string>,
): void {
  for (const [name, fallback] of step.pairs) {
    const value = given.get(name) ?? fallback ?? globals.get(name);
    if (value !== undefined) args.set(name, value);
  }
}

/** The shell form of RUN, with caches as its only mounts. */
function run(step: Step, image: Image, args: ReadonlyMap<string, string>, { caches }: Context): void {
  if (execForm(step.text) !== undefined || image.user !== '0:0') throw unknown(step, step.text);
  const access = registryAccess();
  let mounts = access.mounts;
  for (const [name, value] of step.flags) {
    const [, target] = /^type=cache,target=(\/[\w./-]+)$/.exec(value) ?? [];
    if (name !== 'mount' || target === undefined) throw unknown(step, `--${name}=${value}`);
    const cache = join(caches, target);
    mkdirSync(cache, { recursive: true });
    mounts += `mkdir -p "$ROOT${target}" && mount --bind ${quoted(cache)} "$ROOT${target}"\n`;
  }
  const env = new Map([...access.env, ['HOME', '/root'], ...args, ...image.env]);
  const command = `${inEnvironment(env, image.workdir)} /bin/sh -c ${quoted(step.text)}`;
  inRoot(image.root, `exec chroot "$ROOT" ${command}`, mounts);
}

/** The shell form of COPY: of a folder its content is copied, modes stay, and all of it becomes root's. */
function copy(step: Step, text: string, image: Image, { files, built }: Context): void {
  let from = files;
  for (const [name, value] of step.flags) {
    const stage = built.get(value);
    if (name !== 'from' || stage === undefined) throw unknown(step, `--${name}=${value}`);
    // What a stage has made is in its own layer.
    from = String(stage.root.layers[0]);
  }
  const sources = text.split(/\s+/);
  const target = sources.pop();
  if (target === undefined || sources.length === 0 || /[[*?"]/.test(text)) throw unknown(step, text);
  const place = target.startsWith('/') ? target : join(image.workdir, target);
  const isFolder = target.endsWith('/') || sources.length > 1;
  const goal = `"$ROOT"${quoted(place)}`;
  const lines = [`mkdir -p "$ROOT"${quoted(isFolder ? place : dirname(place))}`];
  for (const path of sources) {
    const source = quoted(join(from, path));
    lines.push(
      `if [ -d ${source} ]; then mkdir -p ${goal}; cp -R --preserve=mode,timestamps,links ${source}/. ${goal}`,
      `else cp --preserve=mode,timestamps ${source} ${goal}; fi`,
    );
  }
  inRoot(image.root, lines.join('\n'));
}

/** The instructions that only note something in the image; WORKDIR also makes its folder. */
function configure(step: Step, expanded: (text: string) => string, image: Image): void {
  const { keyword, pairs, flags } = step;
  const text = expanded(step.text);
  const list = (): string[] => {
    const words = execForm(text);
    // In the shell form a shell gets the signals, and not the service.
    if (words === undefined) throw unknown(step, text);
    return words;
  };
  if (flags.size > 0 && keyword !== 'HEALTHCHECK') throw unknown(step, [...flags.keys()].join());
  if (keyword === 'ENV') for (const [name, value] of pairs) image.env.set(name, expanded(value ?? ''));
  else if (keyword === 'LABEL')
    for (const [name, value] of pairs) image.labels.set(name, expanded(value ?? ''));
  else if (keyword === 'WORKDIR') {
    image.workdir = join(image.workdir, text);
    inRoot(image.root, `mkdir -p "$ROOT"${quoted(image.workdir)}`);
  } else if (keyword === 'USER' && /^\d+:\d+$/.test(text)) image.user = text;
  else if (keyword === 'VOLUME') image.volumes.push(text);
  else if (keyword === 'EXPOSE') image.ports.push(text);
  else if (keyword === 'STOPSIGNAL') image.stopSignal = text;
  else if (keyword === 'ENTRYPOINT') image.entrypoint = list();
  else if (keyword === 'CMD') image.cmd = list();
  else if (keyword === 'HEALTHCHECK' && text.startsWith('CMD [')) {
    image.health = { command: execForm(text.slice('CMD '.length)) ?? [], options: flags };
  } else throw unknown(step, text);
}
