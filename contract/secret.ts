/**
 * A text that nobody may see. It tells itself only to whoever asks outright: a message, a log, JSON, an error or the
 * inspector gets a placeholder, so that a forgotten one cannot be printed by accident.
 */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The text itself: for what is sent to the cache it belongs to, and nothing else. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return "<secret>";
  }

  toJSON(): string {
    return this.toString();
  }

  /** What util.inspect, and with it console.log and an uncaught error, shows. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }
}
