/** Bazel's credential helpers: how one is named, what is asked, and what is answered. */
import { describe, expect, it } from "vitest";
import { answerText, asksAbout, coversHost, helperFlag, helperLines, readQuestion } from "../../contract/credential-helper.ts";
import { fleetEnvironment } from "../../contract/environment.ts";
import { gloriousflywheel, resolveProfile } from "../../contract/profile.ts";
import { isReapiHost, tokenAnswer, tokenSource } from "../../contract/reapi.ts";
import { endpointAt } from "../fixtures/endpoint.ts";

describe("the option", () => {
  it.each([
    ["cache.example", "--credential_helper=cache.example=/h"],
    ["100.64.0.5", "--credential_helper=100.64.0.5=/h"],
    ["localhost", "--credential_helper=/h"],
    ["under_score.example", "--credential_helper=/h"],
    ["fd7a:115c:a1e0::5", "--credential_helper=/h"],
    ["cache.example.", "--credential_helper=/h"],
  ])("for %s is %s", (host, flag) => expect(helperFlag("/h", host)).toBe(flag));

  it.each([
    ["/opt/helper", ["/opt/helper"]],
    ["*.example.org=/opt/helper\n/other\n", ["*.example.org=/opt/helper", "/other"]],
    ["", undefined],
    ["helper", undefined],
    ["%workspace%/tools/helper", undefined],
    ["localhost=/h", undefined],
    ["/opt/a b", undefined],
    ["/opt/$(id)", undefined],
    ["/ok\n--remote_cache=grpc://evil:1", undefined],
  ])("BAZEL_CREDENTIAL_HELPER=%j names %j", (text, lines) => expect(helperLines(text)).toEqual(lines));
});

it.each([
  [["/h"], "cache.example", true],
  [["other.example=/h", "/h"], "cache.example", true],
  [["cache.example=/h"], "cache.example", true],
  [["Cache.Example=/h"], "cache.example", true],
  [["*.example=/h"], "a.cache.example", true],
  [["*.cache.example=/h"], "cache.example", true],
  [["*.cache.example=/h"], "my-cache.example", false],
  [["cache.example=/h"], "a.cache.example", false],
  [["other.example=/h"], "cache.example", false],
])("the helpers %j have one for %s: %s", (lines, host, expected) => expect(coversHost(lines, host)).toBe(expected));

describe("the question", () => {
  it.each([
    ["https://cache.example/build.bazel.remote.execution.v2.Capabilities", "cache.example", 443],
    ["https://cache.example:443/x", "cache.example", 443],
    ["https://Cache.Example:9092", "cache.example", 9092],
    ["http://cache.example/ac", "cache.example", 80],
    ["https://[fd7a:115c:a1e0::5]:9092/x", "fd7a:115c:a1e0::5", 9092],
  ])("%s is about %s:%d", (uri, host, port) => expect(readQuestion(JSON.stringify({ uri }))).toMatchObject({ uri, asked: { host, port } }));

  it.each([
    "",
    "{}",
    "[]",
    "null",
    '"https://x"',
    '{"url":"https://x"}',
    '{"uri":1}',
    '{"uri":"x"}',
    '{"uri":"file:///x"}',
    '{"uri":"grpcs://cache.example"}',
    '{"uri":"https://x"',
  ])("%j is none", (text) => expect(() => readQuestion(text)).toThrow(expect.objectContaining({ code: "protocol" })));

  it("is about an endpoint by host and port alone", () => {
    const { asked } = readQuestion('{"uri":"https://cache.example:9092/x"}');
    expect(asksAbout(asked, endpointAt("grpc://cache.example:9092"))).toBe(true);
    expect(asksAbout(asked, endpointAt("grpcs://cache.example:443"))).toBe(false);
    expect(asksAbout(asked, endpointAt("grpc://other.example:9092"))).toBe(false);
    const portless = readQuestion('{"uri":"https://cache.example/x"}').asked;
    expect(asksAbout(portless, endpointAt("grpc://cache.example"))).toBe(true);
    expect(asksAbout(portless, endpointAt("grpc://cache.example:9092"))).toBe(false);
  });
});

it("the answer leaves out a time that nobody knows", () => {
  expect(answerText({ headers: {}, expires: null })).toBe('{"headers":{}}\n');
  expect(answerText({ headers: { Authorization: ["Bearer x"] }, expires: "2030-01-01T00:00:00.000Z" })).toBe(
    '{"headers":{"Authorization":["Bearer x"]},"expires":"2030-01-01T00:00:00.000Z"}\n',
  );
});

describe("a REAPI token", () => {
  it.each([
    ["gf-reapi-cell", true],
    ["gf-reapi-cell-2.gf-rbe.svc.cluster.local", true],
    ["cell.gf-rbe.svc", true],
    ["cell.gf-rbe.svc.cluster.local", true],
    ["gf-rbe.svc", false],
    ["cell.gf-rbe.svcx", false],
    ["evil.example", false],
    ["x-gf-reapi-cell", false],
    ["gf-reapi-cell.evil.example", false],
    ["gf-reapi-cell-2.com", false],
    ["cell.gf-rbe.svc.evil.example", false],
    ["evil.example.gf-rbe.svc.com", false],
  ])("goes to %s: %s", (host, owned) => {
    expect(isReapiHost(gloriousflywheel, host)).toBe(owned);
    // Another organisation's profile has no such hosts.
    expect(isReapiHost(resolveProfile("lab", {}), host)).toBe(false);
    expect(isReapiHost(resolveProfile("lab", { bazel: { reapi_hosts: [host] } }), host)).toBe(true);
  });

  it("goes to a pattern's own labels alone: * stops at a dot", () => {
    const lab = resolveProfile("lab", { bazel: { reapi_hosts: ["*.lab.example", "cell-*-eu.example", "**.two.example"] } });
    for (const host of ["a.lab.example", "cell-7-eu.example", "cell--eu.example", "x.two.example"])
      expect([host, isReapiHost(lab, host)]).toEqual([host, true]);
    for (const host of [
      "lab.example",
      "a.b.lab.example",
      "cell-7.evil-eu.example",
      "x.y.two.example",
      "a.lab.example.org",
      "a-lab.example",
    ]) {
      expect([host, isReapiHost(lab, host)]).toEqual([host, false]);
    }
  });

  it("comes from the file, or from the variable, or from the pod's own file, and never from two", () => {
    const [file, inline] = [{ GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE: "/t" }, { GF_REAPI_CREDENTIAL_HELPER_TOKEN: "x" }];
    const of = (env: Record<string, string>, projected: boolean) => tokenSource(fleetEnvironment(env), projected);
    expect(of(file, true)).toEqual({ kind: "file", path: "/t" });
    expect(of(inline, true)).toEqual({ kind: "inline", variable: "GF_REAPI_CREDENTIAL_HELPER_TOKEN" });
    expect(of({}, true)).toEqual({ kind: "file", path: "/var/run/secrets/tokens/gf-reapi-cell-token" });
    expect(of({}, false)).toEqual({ kind: "none" });
    expect(of({ ...file, ...inline }, false)).toEqual({ kind: "ambiguous" });
  });

  const now = new Date("2030-01-01T00:00:00Z");
  const jwt = (exp: number): string => `e30.${Buffer.from(JSON.stringify({ exp })).toString("base64url")}.c2ln`;
  const at = (seconds: number): number => now.getTime() / 1000 + seconds;

  it("ends a minute before it does", () => {
    expect(tokenAnswer(`${jwt(at(3600))}\n`, "/t", now)).toEqual({
      headers: { Authorization: [`Bearer ${jwt(at(3600))}`] },
      expires: "2030-01-01T00:59:00.000Z",
    });
    expect(tokenAnswer("opaque", "/t", now)).toEqual({ headers: { Authorization: ["Bearer opaque"] }, expires: null });
  });

  it.each([jwt(at(-1)), jwt(at(60)), "two words", "", "a\r\nX-Evil: 1"])("%j is not sent, and not said", (text) => {
    let message = "";
    try {
      tokenAnswer(text, "/t", now);
    } catch (error) {
      message = String(error);
    }
    expect(message).toMatch(/\/t/);
    if (text.length > 2) expect(message).not.toContain(text);
  });
});
