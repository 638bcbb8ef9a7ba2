/**
 * The fault-injection run, as CI has it: 500 faults on two machines where every peer is required, 40 elsewhere, from a
 * fixed seed (GF_FAULTS_SEED names another; `npm run faults` takes a new one each time). And that its checks can fail.
 */
import { describe, expect, it, type TestContext } from "vitest";
import type { Published } from "../../contract/published.ts";
import { endpointOf } from "../fixtures/endpoint.ts";
import { peersRequired, required } from "../fixtures/peers.ts";
import {
  checkCommand,
  checkDaemon,
  checkDials,
  checkGuard,
  checkPublished,
  type Daemons,
  type GuardRun,
  type Invariant,
} from "./invariants.ts";
import { grace, Model, type Moment } from "./model.ts";
import { plan } from "./plan.ts";
import type { Sabotage } from "./report.ts";
import { machines, runFaults, summaryText, violationText } from "./run.ts";
import { placeOf, urlOf } from "./tailnets.ts";

const seed = Number(process.env["GF_FAULTS_SEED"] ?? 20261120);
const faults = peersRequired() ? 500 : 40;

async function needMachines({ skip }: TestContext): Promise<void> {
  required(await machines(), skip);
}

describe("the run", () => {
  it(`violates nothing over ${faults} faults (seed ${seed})`, { timeout: 20 * 60_000 }, async (context) => {
    await needMachines(context);
    const outcomes = await runFaults({ seed, faults, machines: 2 });
    process.stdout.write(`seed ${seed}: ${summaryText(outcomes)}\n`);
    expect(outcomes.filter((outcome) => outcome.violations.length > 0).map(violationText)).toEqual([]);
    expect(outcomes.flatMap((outcome) => outcome.reports)).toHaveLength(faults);
    const guards = outcomes.flatMap((outcome) => outcome.reports.flatMap((report) => report.guards));
    // It watched something: both answers of the guard, and many a time when only one was right.
    expect(new Set(guards)).toEqual(new Set(["attached", "refused"]));
    expect(outcomes.reduce((sum, { counts }) => sum + counts.oughtToRun, 0)).toBeGreaterThan(faults / 4);
    for (const { counts } of outcomes) expect(counts.daemons).toBeGreaterThan(1);
  });

  const seenAs: Readonly<Record<Sabotage, Invariant>> = {
    unproved: "published",
    unguarded: "unguarded",
    refusing: "refused",
    dialling: "dialled",
    dying: "daemon",
    hanging: "hung",
    noisy: "manners",
  };
  const tried = (Object.keys(seenAs) as Sabotage[]).filter((kind) => peersRequired() || kind === "unproved" || kind === "refusing");
  it.for(tried)("sees it where the product is sabotaged: %s", { timeout: 120_000 }, async (sabotage, context) => {
    await needMachines(context);
    const [outcome] = await runFaults({ seed: 3, faults: 20, machines: 1, sabotage });
    expect(outcome?.violations.map((violation) => violation.invariant)).toContain(seenAs[sabotage]);
  });
});

describe("the plan", () => {
  it("is decided by the seed alone", () => {
    expect(plan(seed, 500)).toEqual(plan(seed, 500));
    expect(plan(seed, 500).slice(0, 40)).toEqual(plan(seed, 40));
    expect(plan(seed + 1, 40)).not.toEqual(plan(seed, 40));
  });

  it("has every kind of fault, and lets them overlap", () => {
    const steps = plan(seed, 500);
    const kinds = new Set(steps.map((step) => step.fault.kind));
    expect([...kinds].sort()).toEqual(["cache", "clock", "config", "daemon", "disk", "link", "published", "runtime", "tailnet"]);
    // What is healed in one step was still broken, side by side, in the one before.
    expect(steps.filter((step) => step.heals.length > 1).length).toBeGreaterThan(25);
  });
});

/** A machine at home whose cache `a` was proved, told by hand. */
function told(): { model: Model; now: () => Moment; pass: (ms: number, seconds?: number) => void } {
  const moment = { at: 100_000, seconds: 5_000, bootId: "5b61583f-cf1c-43fe-8fb3-54156ecda155" };
  const now = (): Moment => ({ ...moment });
  const model = new Model(now);
  model.tailnet(placeOf("home"));
  const pass = (ms: number, seconds = Math.round(ms / 1000)): void => {
    moment.at += ms;
    moment.seconds += seconds;
  };
  pass(1000);
  model.asked("a");
  model.arrived("a");
  return { model, now, pass };
}

function guardRun(began: Moment, more: Partial<GuardRun>): GuardRun {
  const words = [
    "build",
    "//...",
    `--remote_cache=${urlOf("a")}`,
    "--remote_accept_cached",
    "--remote_upload_local_results=false",
    "--remote_executor=",
  ];
  return { began, ended: began, exitCode: 0, stdout: "", stderr: "", tookMs: 5, words, ...more };
}

const refusal = {
  exitCode: 78,
  words: undefined,
  stderr: "flywheel: refused bazel build: no shared cache is attached: it is down\n  next: flywheel up\n",
};
const seen = (violations: readonly { readonly invariant: Invariant }[]): readonly Invariant[] =>
  violations.map(({ invariant }) => invariant);

describe("what is published", () => {
  const published = (now: Moment, more: Partial<Published> = {}): Published => ({
    kind: "bazel",
    profile: "default",
    state: "shared-cache-backed",
    mode: "shared-cache-backed",
    endpoint: endpointOf({ kind: "bazel", scheme: "grpc", host: "100.64.1.1", port: 9092 }),
    aliases: [],
    verified: now.seconds,
    validUntil: now.seconds + 45,
    clock: "boot",
    bootId: now.bootId,
    pid: 1,
    upload: false,
    slow: false,
    reason: "none",
    ...more,
  });

  it("may be believed where it was proved since", () => {
    const { model, now } = told();
    expect(checkPublished(published(now()), now(), model, true)).toEqual([]);
  });

  it("is a violation where the proof is older than it says, of another boot, or of another cache", () => {
    const { model, now, pass } = told();
    pass(10_000);
    expect(seen(checkPublished(published(now()), now(), model, true))).toEqual(["published"]);
    const other = { ...now(), bootId: "00000000-0000-4000-8000-000000000000" };
    expect(seen(checkPublished(published(other), other, model, true))).toEqual(["published"]);
    const b = endpointOf({ kind: "bazel", scheme: "grpc", host: "100.64.1.2", port: 9092 });
    expect(seen(checkPublished(published(now(), { endpoint: b }), now(), model, true))).toEqual(["published"]);
  });

  it("is a violation where its lease is too long, and none once that is over", () => {
    const { model, now, pass } = told();
    const word = published(now(), { validUntil: now().seconds + 60 });
    expect(seen(checkPublished(word, now(), model, true))).toEqual(["published"]);
    pass(61_000);
    expect(checkPublished(word, now(), model, true)).toEqual([]);
  });

  it("is a violation where the cache answered only after nobody permitted it any more", () => {
    const { model, now, pass } = told();
    model.tailnet(placeOf("untagged-a"));
    pass(grace.news + 60_000);
    model.asked("a");
    model.arrived("a");
    expect(seen(checkPublished(published(now()), now(), model, true))).toEqual(["published"]);
  });

  it("is a violation where it is not taken back by a daemon that could", () => {
    const { model, now, pass } = told();
    const word = published(now());
    model.tailnet(placeOf("untagged-a"));
    model.heard();
    pass(1000);
    expect(checkPublished(word, now(), model, true)).toEqual([]);
    pass(grace.news);
    expect(seen(checkPublished(word, now(), model, true))).toEqual(["published"]);
    // A daemon that was killed takes nothing back; its lease ends what it said.
    expect(checkPublished(word, now(), model, false)).toEqual([]);
  });

  it("is no proof where the cache was asked and its answer never arrived", () => {
    const { model, now, pass } = told();
    pass(50_000);
    model.asked("a");
    expect(seen(checkPublished(published(now()), now(), model, true))).toEqual(["published"]);
  });
});

describe("a guarded command", () => {
  it("is fine with a proved cache, and with a refusal where nothing was well", () => {
    const { model, now, pass } = told();
    expect(checkGuard(guardRun(now(), {}), model)).toEqual([]);
    model.running("a", false);
    pass(1000);
    expect(checkGuard(guardRun(now(), refusal), model)).toEqual([]);
  });

  it("is a violation where the tool ran with no cache, with another, with one proved too long ago, or with its own flags", () => {
    const { model, now, pass } = told();
    expect(seen(checkGuard(guardRun(now(), { words: ["build", "//..."] }), model))).toContain("unguarded");
    const words = [...(guardRun(now(), {}).words ?? []), "--remote_cache=grpc://100.64.9.1:9092"];
    expect(seen(checkGuard(guardRun(now(), { words }), model))).toEqual(["unguarded"]);
    pass(50_000);
    expect(seen(checkGuard(guardRun(now(), {}), model))).toEqual(["unguarded"]);
  });

  it("is a violation where it was refused although a cache was proved and well all the time since", () => {
    const { model, now, pass } = told();
    pass(20_000);
    expect(seen(checkGuard(guardRun(now(), refusal), model))).toEqual(["refused"]);
    model.link("a", "cut");
    model.link("a", "open");
    pass(1000);
    expect(checkGuard(guardRun(now(), refusal), model)).toEqual([]);
  });

  it("is a violation where it was refused although a cache was well for long, whatever was proved", () => {
    const { model, now, pass } = told();
    model.clockMoved();
    pass(grace.recovery + 1000, 4000);
    expect(seen(checkGuard(guardRun(now(), refusal), model))).toEqual(["refused"]);
    model.able.set(false, now().at);
    expect(checkGuard(guardRun(now(), refusal), model)).toEqual([]);
  });

  it("is a violation where it hangs, writes to stdout, says no without its form or exits as it may not", () => {
    const { model, now, pass } = told();
    expect(seen(checkGuard(guardRun(now(), { exitCode: undefined, tookMs: 12_000 }), model))).toEqual(["hung"]);
    expect(seen(checkGuard(guardRun(now(), { tookMs: 10_500 }), model))).toEqual(["hung"]);
    expect(seen(checkGuard(guardRun(now(), { stdout: "x" }), model))).toEqual(["manners"]);
    expect(seen(checkGuard(guardRun(now(), { exitCode: 1 }), model))).toEqual(["manners"]);
    model.running("a", false);
    pass(1000);
    expect(seen(checkGuard(guardRun(now(), { ...refusal, exitCode: 1 }), model))).toEqual(["manners"]);
    expect(seen(checkGuard(guardRun(now(), { ...refusal, stderr: "Error: ENOSPC\n" }), model))).toEqual(["manners"]);
    expect(seen(checkCommand("flywheel up", guardRun(now(), { exitCode: 7 }), [0, 3]))).toEqual(["manners"]);
    expect(seen(checkCommand("flywheel up", guardRun(now(), { tookMs: 30_000 }), [0]))).toEqual(["hung"]);
  });
});

describe("a dial", () => {
  it("is a violation where nobody ever permitted the host, or not for long", () => {
    const { model, now, pass } = told();
    const dial = (host: string) => checkDials([{ host, port: 9092, at: now().at }], model);
    expect(dial("100.64.1.1")).toEqual([]);
    expect(seen(dial("100.64.9.1"))).toEqual(["dialled"]);
    expect(seen(dial("100.64.3.1"))).toEqual(["dialled"]);
    model.tailnet(placeOf("foreign"));
    pass(1000);
    // What was under way when the tailnet changed.
    expect(dial("100.64.1.1")).toEqual([]);
    pass(grace.news);
    expect(seen(dial("100.64.1.1"))).toEqual(["dialled"]);
  });

  it("is a violation sooner where the daemon has read that it may not", () => {
    const { model, now, pass } = told();
    model.tailnet(placeOf("taken-over-a"));
    pass(200);
    model.heard();
    const dial = () => checkDials([{ host: "100.64.1.1", port: 9092, at: now().at }], model);
    expect(dial()).toEqual([]);
    pass(grace.round + 1);
    expect(seen(dial())).toEqual(["dialled"]);
    model.tailnet(placeOf("home"));
    expect(dial()).toEqual([]);
  });

  it("is none where the daemon was stopped when the news came", () => {
    const { model, now, pass } = told();
    model.awake.set(false, now().at);
    model.tailnet(placeOf("untagged-a"));
    pass(60_000);
    model.awake.set(true, now().at);
    pass(500);
    expect(checkDials([{ host: "100.64.1.1", port: 9092, at: now().at }], model)).toEqual([]);
    pass(grace.news);
    expect(seen(checkDials([{ host: "100.64.1.1", port: 9092, at: now().at }], model))).toEqual(["dialled"]);
  });
});

describe("the daemon", () => {
  const fine: Daemons = { settled: [7], now: [7], doomed: new Set(), overdue: [], answers: true, defects: [] };

  it("may only end where a fault ends it, and must then", () => {
    const { model, now } = told();
    expect(checkDaemon(fine, now(), model)).toEqual([]);
    expect(checkDaemon({ ...fine, now: [8], doomed: new Set([7]) }, now(), model)).toEqual([]);
    expect(seen(checkDaemon({ ...fine, now: [8] }, now(), model))).toEqual(["daemon"]);
    expect(seen(checkDaemon({ ...fine, overdue: [7] }, now(), model))).toEqual(["daemon"]);
  });

  it("must be there once it was needed, unless it cannot be, and knows of no defect", () => {
    const { model, now, pass } = told();
    expect(seen(checkDaemon({ ...fine, answers: false }, now(), model))).toEqual(["daemon"]);
    expect(seen(checkDaemon({ ...fine, defects: ["a defect: x is not a function"] }, now(), model))).toEqual(["daemon"]);
    model.able.set(false, now().at);
    pass(1000);
    expect(checkDaemon({ ...fine, answers: false }, now(), model)).toEqual([]);
  });
});
