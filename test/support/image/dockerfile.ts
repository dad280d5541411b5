import type { Instruction } from 'dockerfile-ast';
import { DockerfileParser } from 'dockerfile-ast';

/** One instruction with its variables still in it. */
export interface Step {
  /** In capital letters. */
  readonly keyword: string;
  /** All that follows the flags, on one line. */
  readonly text: string;
  /** `--name=value`, by name. */
  readonly flags: ReadonlyMap<string, string>;
  /** `name=value` of ARG, ENV and LABEL; null: an ARG without a default. */
  readonly pairs: readonly (readonly [name: string, value: string | null])[];
  /** Line in the file, from 1, for messages. */
  readonly line: number;
}

export interface Stage {
  /** As FROM has it, with variables. */
  readonly base: string;
  /** The name after AS; the number of the stage without one. */
  readonly name: string;
  readonly steps: readonly Step[];
}

export interface Dockerfile {
  /** ARGs before the first FROM. */
  readonly args: readonly Step[];
  readonly stages: readonly Stage[];
}

/** Reads a Dockerfile. What its instructions do is up to `build.ts`, which refuses those that it does not know. */
export function parseDockerfile(text: string): Dockerfile {
  const args: Step[] = [];
  const stages: { base: string; name: string; steps: Step[] }[] = [];
  for (const instruction of DockerfileParser.parse(text).getInstructions()) {
    const step = stepOf(instruction);
    const current = stages.at(-1);
    if (step.keyword === 'FROM') {
      const [base = '', as, name] = step.text.split(/\s+/);
      if (as !== undefined && as.toUpperCase() !== 'AS') throw unknown(step, step.text);
      stages.push({ base, name: name ?? String(stages.length), steps: [] });
    } else if (current !== undefined) current.steps.push(step);
    else if (step.keyword === 'ARG') args.push(step);
    else throw unknown(step, 'before FROM');
  }
  return { args, stages };
}

/** Puts variables in place of `$NAME` and `${NAME}`. Other forms, and names that have no value, are refused. */
export function expand(text: string, variables: ReadonlyMap<string, string>): string {
  return text.replaceAll(/\$(?:\{([^}]*)\}|(\w+))/g, (_, braced?: string, plain?: string) => {
    const name = braced ?? plain ?? '';
    const value = variables.get(name);
    if (value === undefined) throw new Error(`the Dockerfile uses \${${name}}, which has no value here`);
    return value;
  });
}

/** `["a", "b"]` as a list; undefined for another form. */
export function execForm(text: string): string[] | undefined {
  return text.startsWith('[') ? (JSON.parse(text) as string[]) : undefined;
}

export function unknown({ keyword, line }: Step, what: string): Error {
  return new Error(
    `Dockerfile, line ${String(line)}: ${keyword} with "${what}" is not known to this script: teach it`,
  );
}

/** The classes of the parser have these, each where its instruction has such parts. */
interface Parts {
  getFlags?(): { getName(): string; getValue(): string | null }[];
  getProperties?(): { getName(): string; getValue(): string | null }[];
}

function stepOf(instruction: Instruction): Step {
  const parts = instruction as Parts;
  return {
    keyword: instruction.getKeyword(),
    text: instruction.getArgumentsContent() ?? '',
    flags: new Map(parts.getFlags?.().map((flag) => [flag.getName(), flag.getValue() ?? ''])),
    pairs: parts.getProperties?.().map((pair) => [pair.getName(), pair.getValue()]) ?? [],
    line: instruction.getRange().start.line + 1,
  };
}
