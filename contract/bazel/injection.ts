/** The flags that attach a heavy command, and the user's own flags that would detach it. */
import { type Endpoint, parseEndpoint, sameEndpoint } from "../endpoint.ts";
import type { CacheOption } from "./command-line.ts";
import { policyOption } from "./commands.ts";

export interface AttachedCache {
  readonly endpoint: Endpoint;
  readonly aliases: readonly Endpoint[];
  readonly upload: boolean;
  readonly instanceName: string | undefined;
}

/**
 * Keep a gRPC cache unwritten when Bazel also writes a file of build events, as every IDE asks it to: it uploads
 * what the events name whatever `--remote_upload_local_results` says, and where the cache lets nobody write the
 * build ends with exit 38 (tried on 2.1 and 4.2). The events then name local files, as they do without a cache.
 */
export const silentEventFlags: readonly string[] = ["binary", "json", "text"].map(
  (format) => `--nobuild_event_${format}_file_path_conversion`,
);

/**
 * The flags, in order. At the end of the command line no rc file and no `--config` overrides them, and none
 * of them discards the analysis cache or restarts the server (tried on 2.1 and 4.2). `--remote_accept_cached`
 * undoes an rc's `--noremote_accept_cached`; the empty executor undoes an rc's.
 */
export function injectedFlags(cache: AttachedCache): readonly string[] {
  return [
    `--remote_cache=${cache.endpoint.url}`,
    "--remote_accept_cached",
    `--remote_upload_local_results=${cache.upload}`,
    "--remote_executor=",
    ...(cache.upload || !cache.endpoint.scheme.startsWith("grpc") ? [] : silentEventFlags),
    ...(cache.instanceName === undefined ? [] : [`--remote_instance_name=${cache.instanceName}`]),
  ];
}

/** Tags for every mnemonic that no cache is asked about (tried on 2.1 and 4.2); for a few mnemonics they are tuning. */
const everyActionUncached = /(?:^|,)(?:\.[*+])?=\+(?:no-cache|no-remote|no-remote-cache|local)(?:,|$)/;

/**
 * The first of the user's options that would take the build away from the attached cache, in words; undefined
 * where none does. Asking for uploads is no detachment: the appended flag overrules it by policy.
 */
export function detachment(options: readonly CacheOption[], cache: AttachedCache | undefined): string | undefined {
  for (const option of options) {
    const fault = faultOf(option, cache);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function faultOf(option: CacheOption, cache: AttachedCache | undefined): string | undefined {
  const value = option.value ?? "";
  switch (option.name) {
    case "remote_cache":
    case "remote_http_cache": {
      if (value === "") return `--${option.name}= turns the shared cache off`;
      const parsed = parseEndpoint(value, "bazel");
      if (!parsed.ok) return `--${option.name} names no usable endpoint: ${parsed.message}`;
      const own = cache === undefined ? [] : [cache.endpoint, ...cache.aliases];
      return own.some((endpoint) => sameEndpoint(endpoint, parsed.endpoint))
        ? undefined
        : `--${option.name} names another cache than the attached one`;
    }
    case "remote_accept_cached":
      return option.negated || /^(?:0|no|false|n|f)$/i.test(value) ? "the command line turns --remote_accept_cached off" : undefined;
    case "remote_executor":
      return value === "" ? undefined : "--remote_executor asks for remote execution, and what is attached is a shared cache";
    case "remote_proxy":
      return value === "" ? undefined : "--remote_proxy leads past the attached cache";
    case "remote_instance_name":
      return value === (cache?.instanceName ?? "")
        ? undefined
        : "--remote_instance_name names another part of the cache than the profile does";
    case "remote_upload_local_results":
      return undefined;
    case "modify_execution_info":
      return everyActionUncached.test(value) ? `--${option.name} keeps every action away from the cache` : undefined;
    case policyOption:
      return policyFault(value);
    default:
      return `--${option.name} is not understood`;
  }
}

/**
 * A policy (a text proto, or base64 of a binary one) stands above the flags that attach. One that can be read and
 * speaks neither of the cache nor of `config`, which could bring anything, is left alone.
 */
function policyFault(policy: string): string | undefined {
  if (policy === "") return undefined;
  const readable = /^\s*flag_policies\b/.test(policy) && !policy.includes("\\");
  return readable && !/remote|config|execution_info/.test(policy)
    ? undefined
    : `--${policyOption} may overrule the options that attach the build`;
}
