/** Lines as Bazel 2.1.0 and 4.2.3 write them, shortened where nothing reads them. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { BuildEventReader, type BuildEvents } from "../../../contract/bazel/build-events.ts";

const read = (...lines: readonly string[]): BuildEvents => {
  const reader = new BuildEventReader();
  for (const line of lines) reader.add(line);
  return reader.result;
};

const started = (version: string): string =>
  `{"id":{"started":{}},"children":[{"progress":{}}],"started":{"uuid":"4cd744a8-1556-41db-8668-2f43d4031d11","startTimeMillis":"1795267673442"${version === "" ? "" : `,"buildToolVersion":"${version}"`},"command":"build"}}`;
const canonical = (...options: readonly (readonly [string, string])[]): string =>
  `{"id":{"structuredCommandLine":{"commandLineLabel":"canonical"}},"structuredCommandLine":{"commandLineLabel":"canonical","sections":[{"sectionLabel":"executable","chunkList":{"chunk":["bazel"]}},{"sectionLabel":"command options","optionList":{"option":[${options.map(([name, value]) => `{"combinedForm":"--${name}=${value}","optionName":"${name}","optionValue":"${value}"}`).join(",")}]}}]}}`;
const stats = (text: string): string =>
  `{"id":{"buildToolLogs":{}},"lastMessage":true,"buildToolLogs":{"log":[{"name":"elapsed time","contents":"Mi40MDQwMDA="},{"name":"process stats","contents":"${btoa(text)}"},{"name":"command.profile.gz","uri":"file:///x"}]}}`;
const finished = (exitCode: string): string =>
  `{"id":{"buildFinished":{}},"finished":{"overallSuccess":true,"finishTimeMillis":"1795267675846","exitCode":${exitCode},"anomalyReport":{}}}`;

test("version, effective options, counts and exit code", () => {
  const events = read(
    started("2.1.0"),
    '{"id":{"progress":{"opaqueCount":1}},"progress":{"stderr":"INFO: 9 processes: 9 remote cache hit."}}',
    canonical(["remote_cache", "grpc://192.0.2.1:9092"], ["disk_cache", "/d"], ["disk_cache", ""]),
    finished('{"name":"SUCCESS"}'),
    stats("20 processes: 19 remote cache hit, 1 linux-sandbox."),
  );
  expect(events).toMatchObject({
    startedAt: 1_795_267_673_442,
    version: "2.1.0",
    exitCode: 0,
    exitName: "SUCCESS",
    counts: { hits: 19, misses: 1 },
    namesDiskCache: false,
  });
  expect(events.options?.get("remote_cache")).toBe("grpc://192.0.2.1:9092");
  expect(events.options?.get("disk_cache")).toBe("");
});

test("a Bazel without a version has none, and a failure has its code", () => {
  expect(read(started(""), finished('{"name":"INTERRUPTED","code":8}'))).toEqual({
    ...{
      startedAt: 1_795_267_673_442,
      version: undefined,
      options: undefined,
      counts: undefined,
      namesDiskCache: false,
      exitCode: 8,
      exitName: "INTERRUPTED",
    },
  });
  expect(read(started("4.2.3- (@non-git)")).version).toMatch(/^4\.2\.3/);
});

test("the original command line is not the effective one", () => {
  expect(read(canonical(["remote_cache", "x"]).replaceAll('"canonical"', '"original"')).options).toBeUndefined();
});

test("what is cut off, or none of Bazel's, tells nothing and never throws", () => {
  const whole = stats("1 process: 1 internal.");
  for (let length = 0; length < whole.length; length += 1) expect(read(whole.slice(0, length)).counts).toBeUndefined();
  for (const odd of [
    "null",
    '{"id":{"started":{}},"started":null}',
    '{"id":{"started":{}},"started":[1]}',
    '{"id":{"started":{}},"started":{"startTimeMillis":"soon"}}',
    '{"id":{"buildToolLogs":{}},"buildToolLogs":{"log":{"name":1}}}',
    '{"id":{"buildToolLogs":{}},"buildToolLogs":{"log":[{"name":"process stats","contents":"%%%"}]}}',
  ])
    expect(read(odd)).toEqual(read());
  fc.assert(fc.property(fc.json(), (text) => void read(`{"id":{"buildToolLogs":{}},"buildToolLogs":${text}}`)));
});
