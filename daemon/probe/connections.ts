/** The warm connections, one for each endpoint, address and login. */
import { keyOf, type Place } from "./place.ts";

export interface Connection {
  readonly place: Place;
  readonly warm: boolean;
  close(): Promise<void>;
}

export class Connections<C extends Connection> {
  readonly #kept = new Map<string, C>();

  /** The warm connection of a place; one that went cold meanwhile is closed and forgotten. */
  async get(place: Place): Promise<C | undefined> {
    const connection = this.#kept.get(keyOf(place));
    if (connection === undefined || connection.warm) return connection;
    await this.drop(connection);
    return undefined;
  }

  has(place: Place): boolean {
    return this.#kept.get(keyOf(place))?.warm === true;
  }

  /** Where two probes of one place ran side by side, the first connection stays. */
  async keep(connection: C): Promise<void> {
    const key = keyOf(connection.place);
    const kept = this.#kept.get(key);
    if (kept === connection) return;
    if (kept?.warm === true) return await connection.close();
    this.#kept.set(key, connection);
    await kept?.close();
  }

  async drop(connection: C): Promise<void> {
    const key = keyOf(connection.place);
    if (this.#kept.get(key) === connection) this.#kept.delete(key);
    await connection.close();
  }

  /** Closes the connections of all other places. */
  async retain(wanted: (place: Place) => boolean): Promise<void> {
    const others = [...this.#kept.values()].filter(({ place }) => !wanted(place));
    await Promise.all(others.map((connection) => this.drop(connection)));
  }
}
