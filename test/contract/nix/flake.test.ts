import { expect, test } from "vitest";
import { type FlakeCaches, flakeCaches } from "../../../contract/nix/flake.ts";

const none: FlakeCaches = { substituters: [], flakeHub: false, unclear: false };

test.for<readonly [name: string, text: string, says: Partial<FlakeCaches>]>([
  ["none", "{ outputs = _: { }; }", {}],
  [
    "a list",
    '{ nixConfig = { extra-substituters = [ "https://a.example" "https://b.example/x" ]; }; outputs = _: { }; }',
    { substituters: ["https://a.example", "https://b.example/x"] },
  ],
  [
    "a text",
    '{ nixConfig.extra-substituters = "https://a.example https://b.example"; }',
    { substituters: ["https://a.example", "https://b.example"] },
  ],
  ["quoted names", '{ nixConfig = { "substituters" = [ "https://a.example" ]; }; }', { substituters: ["https://a.example"] }],
  ["keys alone", '{ nixConfig = { extra-trusted-public-keys = [ "a:x" ]; }; }', {}],
  [
    "a comment",
    '{\n  # nixConfig = { substituters = [ "https://a.example" ]; };\n  /* nixConfig.substituters = "https://b.example"; */\n}',
    {},
  ],
  ["a comment behind an address", '{ nixConfig.substituters = [ "https://a.example" ]; # mine\n}', { substituters: ["https://a.example"] }],
  ["the same word elsewhere", '{ outputs = _: { nix.settings.substituters = [ "https://a.example" ]; }; }', {}],
  ["computed", "{ nixConfig = { extra-substituters = caches; }; }", { unclear: true }],
  [
    "computed in part",
    '{ nixConfig.substituters = [ "https://a.example" more ]; }',
    { substituters: ["https://a.example"], unclear: true },
  ],
  ["a placeholder", '{ nixConfig.substituters = [ "https://${host}/x" ]; }', { unclear: true }],
  ["imported", "{ nixConfig = import ./config.nix; }", { unclear: true }],
  ["FlakeHub", '{ inputs.nixpkgs.url = "https://flakehub.com/f/NixOS/nixpkgs/0.1"; }', { flakeHub: true }],
  [
    "control characters",
    '{ nixConfig.substituters = [ "https://a.example/\u001b[2J" ]; }',
    { substituters: ["https://a.example/\u001b[2J"] },
  ],
])("%s", ([, text, says]) => {
  expect(flakeCaches(text)).toEqual({ ...none, ...says });
});

test("texts that nobody writes are read without going back and forth in them", { timeout: 10_000 }, () => {
  const many = [
    `{ nixConfig = { substituters = [ ${'"https://a.example" '.repeat(50_000)}`,
    `{ nixConfig = ${"{".repeat(500_000)}`,
    " nixConfig.".repeat(100_000),
    "/*".repeat(500_000),
    `nixConfig = { ${"substituters = [ ".repeat(50_000)}`,
  ];
  expect(many.map((text) => flakeCaches(text).flakeHub)).toEqual(many.map(() => false));
});
