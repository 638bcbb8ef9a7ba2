/** A status as a person reads it: few lines, each short enough to be read. */
import { stripVTControlCharacters } from "node:util";
import { expect, test } from "vitest";
import { paint } from "../../cli/output/paint.ts";
import { fitted } from "../../cli/output/wrap.ts";
import { viewStatus } from "../../cli/status/view.ts";
import type { CandidateReport, StatusReport } from "../../contract/api.ts";
import type { Invocation } from "../../contract/invocation.ts";

const since = new Date(2026, 10, 20, 22, 13, 5).toISOString();

const attachment = {
  state: "attached",
  since,
  endpoint: "grpc://100.64.0.5:9092",
  source: "peer",
  node: "cache.tail0ffee.ts.net",
  verifiedAt: since,
  proofAgeS: 3,
  latencyMs: 4.2,
  trail: [4.4, 4.2],
  path: { via: "direct", address: "192.0.2.7:41641" },
  health: "healthy",
  reason: null,
  rung: null,
  next: null,
  unsettled: false,
} as const;

function other(endpoint: string, more: Partial<CandidateReport>): CandidateReport {
  const nothing = { rung: null, reason: null, next: null, latencyMs: null, since, provedAt: since };
  return {
    endpoint,
    kind: "bazel",
    source: "peer",
    node: null,
    health: "healthy",
    attached: false,
    standby: false,
    why: null,
    ...nothing,
    ...more,
  };
}

const report: StatusReport = {
  schema: 1,
  mode: "shared-cache-backed",
  profileState: "shared-cache-backed",
  profile: "default",
  detached: false,
  bazel: { ...attachment, upload: false, digestFunctions: ["SHA256"], updateEnabled: null, aliases: [], instanceName: null },
  nix: {
    ...attachment,
    ...{
      state: "unattached",
      endpoint: null,
      source: null,
      node: null,
      proofAgeS: null,
      latencyMs: null,
      path: null,
      reason: "no candidate",
    },
    ...{ publicKey: null, trusted: null, storeDir: null },
  },
  tailnet: {
    ...{ name: "stand-in.example", magicDnsSuffix: "tail0ffee.ts.net", trusted: true, backendState: "Running", self: "laptop", health: [] },
    ...{ via: "/s", systemSocket: true, reason: null, next: null },
  },
  candidates: [other("grpc://100.64.0.5:9092", { attached: true })],
  rejections: [],
  daemon: { pid: 1, version: "0.1.0", startedAt: since, faults: [] },
  escapes: { today: 0, last: null },
  refusals: { today: 0, last: null },
  running: [],
  recent: [],
  hitRates: null,
};

const build: Invocation = {
  ...{ id: "b:1:2", tool: "bazel", command: "build", workspace: "/w", profile: "default", endpoint: attachment.endpoint },
  ...{ startedAt: since, endedAt: new Date(Date.now() - 5_000).toISOString(), wallMs: 3_000, exitCode: 0, outcome: "succeeded" },
  ...{ tally: { state: "unknown", why: "no summary" }, lost: null, recordedBy: "daemon" },
};

const view = (more: Partial<StatusReport> = {}): string => viewStatus({ ...report, ...more }, paint({}, false));

test("the attached one with its path and since when", () => {
  expect(view().split("\n").slice(1, 3)).toEqual([
    "  bazel    attached  grpc://100.64.0.5:9092",
    "           cache.tail0ffee.ts.net, source peer, 4.2 ms, proved 3 s ago, direct 192.0.2.7:41641, since 2026-11-20 22:13:05",
  ]);
  const by = (path: StatusReport["bazel"]["path"]): string => view({ bazel: { ...report.bazel, path } });
  expect(by({ via: "derp", region: "fra" })).toContain(", relayed by DERP fra, ");
  expect(by({ via: "peer-relay", address: "192.0.2.1:7" })).toContain(", relayed by peer 192.0.2.1:7, ");
  expect(by(null)).toContain("proved 3 s ago, since ");
});

test("the standby first, then why the others are not the one; 64 of them do not flood the terminal", () => {
  const down = other("grpc://100.64.0.7:9092", { health: "down", why: "down at connect since 2026-11-20 22:13:05" });
  const standby = other("http://100.64.0.6:8080", { standby: true, why: "HTTP, and the attached one speaks gRPC" });
  const [, , , first, second, third] = view({ candidates: [...report.candidates, down, standby] }).split("\n");
  expect(first).toBe("           standby http://100.64.0.6:8080: HTTP, and the attached one speaks gRPC");
  expect(second).toBe("           not grpc://100.64.0.7:9092: down at connect since 2026-11-20 22:13:05");
  expect(third).toMatch(/^ {2}nix/);
  const many = view({ candidates: [...report.candidates, standby, ...Array.from({ length: 63 }, () => down)] }).split("\n");
  expect(many.length).toBeLessThanOrEqual(20);
  expect(many).toContain("           and 60 more: flywheel status --json");
});

test("what runs is shown, two of it by name, and nothing that a terminal would act on", () => {
  const command = { pid: 7, tool: "bazel", command: "test", directory: "/w\u001b[2J", startedAt: since, endpoint: null, lost: null };
  expect(view({ running: [command] })).toContain("  running  bazel test in /w\n");
  expect(view({ running: Array.from({ length: 5 }, () => command) })).toContain(", and 3 more: flywheel status --json");
  expect(view()).not.toContain("running  ");
});

test("a command whose cache died under it says so, while it runs and afterwards", () => {
  const command = { pid: 7, tool: "bazel", command: "test", directory: "/w", startedAt: since, endpoint: null, lost: "connect: refused" };
  expect(view({ running: [command] })).toContain("  running  bazel test in /w\n           bazel test: lost mid-build: connect: refused\n");
  const lost = { at: since, reason: "connect: refused" };
  expect(view({ recent: [{ ...build, lost }] })).toContain("\n           lost mid-build: connect: refused\n");
});

test("the last build says how it went, what the cache gave it, and when", () => {
  const line = (tally: Invocation["tally"], more: Partial<Invocation> = {}): string | undefined =>
    view({ recent: [{ ...build, ...more, tally }, build] })
      .split("\n")
      .find((one) => one.startsWith("  builds "));
  const counts = { hits: 199, other: 0, misses: 1, local: 1, internal: 5 };
  const counted = { state: "counted", counts, source: "command.log", doubt: null } as const;
  expect(line(counted)).toBe("  builds   bazel build: succeeded, 199 of 200 hits (99 %), 5 s ago");
  expect(line({ ...counted, counts: { ...counts, hits: 0, misses: 0 } })).toBe(
    "  builds   bazel build: succeeded, no actions ran, 5 s ago",
  );
  expect(line({ ...counted, doubt: "a disk cache answered too" })).toContain("(99 %) (doubtful: a disk cache answered too), ");
  expect(line({ state: "unknown", why: "no summary" }, { outcome: "unknown", endedAt: null })).toMatch(
    /^ {2}builds {3}bazel build: hits unknown \(no summary\), began \d{4}-/,
  );
  const today = { builds: 3, counted: 2, hits: 3, misses: 1 };
  expect(view({ recent: [build], hitRates: { today, week: today } })).toContain("; today 75 % hits\n");
  expect(view()).not.toContain("  builds ");
});

test("what it is logged in with stands below the attachment, and from a week before its end what to type", () => {
  const day = 86_400_000;
  const credential = (livedDays: number, leftDays: number, needed: "yes" | "no" | "unknown" = "yes") => {
    const [begin, end] = [Date.now() - livedDays * day, Date.now() + leftDays * day + 60_000];
    const next = "flywheel login grpc://100.64.0.5:9092 --basic --user ann";
    const told = { scheme: "basic", since: new Date(begin).toISOString(), expires: new Date(end).toISOString(), needed, next } as const;
    return view({ bazel: { ...report.bazel, credential: told } });
  };
  expect(credential(300, 30)).toContain("\n           credential basic, expires in 30 d\n");
  expect(credential(300, 30)).not.toContain("flywheel login");
  expect(credential(300, 6)).toContain(
    "\n           credential basic, expires in 6 d\n    next   flywheel login grpc://100.64.0.5:9092 --basic --user ann\n",
  );
  // A tenth of its life: three days of thirty.
  expect(credential(24, 6)).not.toContain("flywheel login");
  expect(credential(28, 2)).toContain("flywheel login");
  expect(credential(28, -1, "no")).toContain(
    "credential basic, expired 23 h ago; not needed: it answers anybody\n    next   flywheel login",
  );
  const lasting = { scheme: "mtls", since, expires: null, needed: "unknown", next: "flywheel login" } as const;
  expect(view({ nix: { ...attachment, publicKey: null, trusted: true, storeDir: null, credential: lasting } })).toContain(
    "credential mtls\n",
  );
});

test("where nothing is attached the others say why too, but not the one that has said it, nor while detached", () => {
  const failed = { state: "unattached", endpoint: null, rung: "connect", reason: "refused; 1 more failed too", proofAgeS: null } as const;
  const bazel = { ...report.bazel, ...failed, about: "grpc://a:1" };
  const down = (endpoint: string): CandidateReport => other(endpoint, { health: "down", rung: "connect", reason: "refused" });
  const candidates = [down("grpc://a:1"), down("grpc://b:1")];
  const shown = view({ bazel, candidates });
  expect(shown).toContain("also grpc://b:1: connect: refused");
  expect(shown).not.toContain("also grpc://a:1");
  const { about: _, ...held } = { ...bazel, rung: null, reason: "detached by flywheel detach" };
  expect(view({ detached: true, bazel: held, candidates })).not.toContain("also ");
});

test("on a terminal each line is broken between words, and goes on below where its words began", () => {
  const lines = fitted(
    `  ${paint({ FORCE_COLOR: "1" }, true).red("bazel")}    unattached  no candidate: there is no client at /a/b\n  nix  ok`,
    40,
  );
  expect(stripVTControlCharacters(lines)).toBe("  bazel    unattached  no candidate:\n           there is no client at /a/b\n  nix  ok");
  expect(fitted("    next   a-word-that-is-longer-than-the-line-is-wide", 40)).toBe(
    "    next   a-word-that-is-longer-than-the-line-is-wide",
  );
});
