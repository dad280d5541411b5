/** What the stores need of a logger; pino's has it. `fields` goes into the line as it is, with errors under `err`. */
export interface StoreLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
