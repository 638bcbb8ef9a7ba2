/** A record beside its published schema, docs/proof.schema.json. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { schemaFaults } from "../../fixtures/json-schema.ts";

export const proofJsonSchema: unknown = JSON.parse(readFileSync(join(import.meta.dirname, "../../../docs/proof.schema.json"), "utf8"));

export function expectSchema(record: unknown): void {
  expect(schemaFaults(proofJsonSchema, record)).toEqual([]);
}
