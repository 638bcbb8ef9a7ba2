/** What stands below the word: the endpoint, the way to it, how fast it is and how fresh its proof; or why there is none. */
import type { AttachmentReport, StatusReport } from "../../contract/api.ts";
import type { Tool } from "../../contract/endpoint.ts";
import { span as ageWords, latency, localTime, pathWords } from "../../contract/words.ts";
import { cut, fold } from "./cells.ts";
import { blank, type Line, line, span } from "./line.ts";
import { sparkline } from "./marks.ts";
import { clean, proofAge, type Scene } from "./scene.ts";

/** @returns as many lines as there is room for, the most telling first */
export function facts(kind: Tool, scene: Scene, room: { cells: number; height: number }): Line[] {
  const { report } = scene.news;
  if (report === undefined) return [line(waiting(scene), "dim"), ...Array.from({ length: room.height - 1 }, () => blank)];
  const own = report[kind];
  const lines = own.state === "attached" ? attached(own, scene, room) : unattached(own, scene, { ...room, detached: report.detached });
  return [...lines, ...Array.from({ length: room.height }, () => blank)].slice(0, room.height);
}

function waiting({ news }: Scene): string {
  switch (news.link.state) {
    case "starting":
      return "starting the daemon …";
    case "gone":
      return clean(news.link.why);
    case "looking":
    case "live":
      return "looking for the daemon …";
  }
}

function attached(own: AttachmentReport, scene: Scene, { cells, height }: { cells: number; height: number }): Line[] {
  const speed = own.latencyMs === null ? "" : latency(own.latencyMs);
  const words = speed === "" ? "" : `${speed} `;
  const lines = [
    line(clean(own.endpoint ?? ""), "strong"),
    line(whereabouts(own)),
    [span(words), span(sparkline(own.trail, Math.min(40, cells - words.length)), "proof")],
    line(proofWords(own, scene)),
  ];
  const since = own.since === null ? [] : [line(`since ${localTime(own.since)}`, "dim")];
  return height > lines.length ? [...lines, ...since] : lines;
}

function whereabouts({ node, source, path }: AttachmentReport): string {
  const parts = [node === null ? `source ${source ?? "unknown"}` : clean(node), path === null ? undefined : pathWords(path)];
  return parts.filter((part) => part !== undefined).join(", ");
}

function proofWords(own: AttachmentReport, scene: Scene): string {
  if (own.proofAgeS === null) return "never proved";
  const health = own.health === "degraded" || own.health === "down" ? `, ${own.health}` : "";
  return `proved ${ageWords(proofAge(scene, own.proofAgeS))} ago${health}`;
}

function unattached(own: AttachmentReport, scene: Scene, room: { cells: number; height: number; detached: boolean }): Line[] {
  const rung = own.rung === null ? "" : `${own.rung}: `;
  const reason = clean(own.reason ?? (room.detached ? "detached" : "no reason is known"));
  const told = fold(`${rung}${reason}`, room.cells, Math.max(1, room.height - 2)).map((text) => line(text, "strong"));
  const proved = own.proofAgeS === null ? "never proved" : `last proved ${ageWords(proofAge(scene, own.proofAgeS))} ago`;
  const since = own.since === null ? [] : [line(`since ${localTime(own.since)}`, "dim")];
  return [...told, line(proved), ...since];
}

/** One line about the tailnet: its name, and whether it is believed. */
export function tailnetLine({ tailnet }: StatusReport): Line {
  if (tailnet.name === null) return [span("tailnet   "), span(clean(tailnet.reason ?? "none"), "strong")];
  const state = tailnet.backendState === null ? "" : `, ${clean(tailnet.backendState)}`;
  const where = tailnet.systemSocket || tailnet.via === null ? "" : `, read from ${clean(tailnet.via)}`;
  return [
    span("tailnet   "),
    span(`${clean(tailnet.name)} `),
    tailnet.trusted ? span("✓ trusted", "good") : span("✗ NOT TRUSTED", "bad"),
    span(cut(`${state}${where}`, 200), "dim"),
  ];
}
