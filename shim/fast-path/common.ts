/**
 * The parts of the fast path that every guarded name shares, as texts of sh: the real tool, the way to the slow
 * path, scope, and what is published. A part that needs a later one to be defined calls it only from a function.
 */
import { envFileName } from "../../contract/env-file.ts";
import { manifestName } from "../../contract/manifest.ts";
import { largestPublished, lease, mostAliases, publishedVersion } from "../../contract/published.ts";
import { runningDirectory, runningVersion } from "../../contract/running.ts";
import { planVersion } from "../plan.ts";
import { mediumIsHeavy, verdictProfile } from "../scope.ts";
import { markerFile, realToolVariable, recordVariable, type ShimName } from "./names.ts";

/** The keys of the attachment file, each once, and the sh variable that takes its value. */
const publishedKeys = [
  ["kind", "_gf_kind"],
  ["profile", "_gf_who"],
  ["state", "_gf_is"],
  ["mode", "_gf_mode"],
  ["endpoint", "_gf_endpoint"],
  ["verified", "_gf_verified"],
  ["valid-until", "_gf_until"],
  ["clock", "_gf_clock"],
  ["boot-id", "_gf_boot"],
  ["pid", "_gf_pid"],
  ["upload", "_gf_may"],
  ["slow", "_gf_slowly"],
  ["reason", "_gf_reason"],
] as const;

/**
 * sh counts characters where largestPublished counts bytes; only a reason's may have more than one, up to four:
 * so what has no more characters than these has no more bytes than that.
 */
export const longestReason = 256;
/** Of the directory that a mark names: as long as any path may be. */
const longestMarked = 4096;
const mostCharacters = largestPublished - 3 * longestReason - publishedVersion.length - 1;

export const lower = "abcdefghijklmnopqrstuvwxyz";
export const digit = "0123456789";
export const urlCharacters = `${lower}ABCDEFGHIJKLMNOPQRSTUVWXYZ${digit}.:/_~[]-`;

/** 0 to 255 without a zero in front, as `case` patterns. */
const octet = ((one: string, most: string, five: string) =>
  `[${digit}] | [${one}][${digit}] | 1[${digit}][${digit}] | 2[${most}][${digit}] | 25[${five}]`)("123456789", "01234", "012345");

/** A `case` pattern that matches any of the words, literally. */
export function anyOf(words: Iterable<string>): string {
  return [...words].map((word) => (word === "" ? "''" : /^[A-Za-z0-9_=-]+$/.test(word) ? word : `'${word}'`)).join(" | ");
}

/** The character class of everything but these: `]` must come first and `-` last inside brackets. */
export function not(characters: string): string {
  const rest = characters.replaceAll(/[\]-]/g, "");
  return `[!${characters.includes("]") ? "]" : ""}${rest}${characters.includes("-") ? "-" : ""}]`;
}

/** From the first line to the real tool. `loops`: what else, besides the variable, could lead a name back to itself. */
export function opening(name: ShimName, loops: string): string {
  const real = realToolVariable(name);
  return `#!/bin/sh
# ${name}, guarded: the fast path of the GloriousFlywheel companion. Generated; see shim/fast-path/.
case $0 in
*/*) _gf_here=\${0%/*} ;;
*) _gf_here=. ;;
esac
if [ ! -e "$_gf_here/${markerFile}" ]; then
  printf '%s\\n' "flywheel: $0 is a link to or a copy of a shim" '  next: put what "flywheel shim path" prints first on PATH instead' >&2
  exit 78
fi
# Ends a loop of shims that call each other by absolute path.
case \${GF_SHIM_DEPTH-} in
'') GF_SHIM_DEPTH=1 ;;
[1234567]) GF_SHIM_DEPTH=$((GF_SHIM_DEPTH + 1)) ;;
*)
  printf '%s\\n' "flywheel: refused ${name}: shims call each other in a loop (GF_SHIM_DEPTH=8)" '  next: check ${real}${loops} for a path that leads back to the shim' >&2
  exit 78
  ;;
esac
export GF_SHIM_DEPTH

# The PATH that the tool would have had without us, and the tool on it.
_gf_path= _gf_join= _gf_tool= _gf_list=\${PATH-}:
while [ -n "$_gf_list" ]; do
  _gf_dir=\${_gf_list%%:*}
  _gf_list=\${_gf_list#*:}
  if [ -e "\${_gf_dir:-.}/${markerFile}" ]; then continue; fi
  _gf_path=$_gf_path$_gf_join$_gf_dir
  _gf_join=:
  if [ -z "$_gf_tool" ] && [ -x "\${_gf_dir:-.}/${name}" ] && [ -f "\${_gf_dir:-.}/${name}" ] && [ ! "\${_gf_dir:-.}/${name}" -ef "$0" ]; then
    _gf_tool=\${_gf_dir:-.}/${name}
  fi
done
case \${${real}-} in
'') ;;
/*)
  _gf_tool=$${real}
  if [ ! -x "$_gf_tool" ] || [ -d "$_gf_tool" ] || [ -e "\${_gf_tool%/*}/${markerFile}" ]; then
    printf '%s\\n' "flywheel: ${real} names no program, or a shim: $_gf_tool" '  next: unset ${real}, or set it to the real ${name}' >&2
    exit 127
  fi
  ;;
*)
  printf '%s\\n' 'flywheel: ${real} must be an absolute path' '  next: unset ${real}, or set it to the real ${name}' >&2
  exit 127
  ;;
esac
if [ -z "$_gf_tool" ]; then
  printf '%s\\n' 'flywheel: ${name}: not found on PATH behind the shim' '  next: install ${name}, or set ${real} to it' >&2
  exit 127
fi
`;
}

export const running = `_gf_run() {
  unset GF_GUARD_BYPASS ${recordVariable}
  PATH=$_gf_path
  # bash tells its children where SHELLOPTS is exported.
  set +f
  exec "$_gf_tool" "$@"
}

`;

/** How one tool's plans go on behind the version: `case` arms by step and word, and what the last step does. */
export interface PlanReading {
  readonly variables: string;
  readonly steps: string;
  readonly end: string;
}

export function slowPath(name: ShimName, { variables, steps, end }: PlanReading): string {
  return `# The slow path: flywheel guard decides, with the whole truth, and prints a plan of one word a line.
_gf_slow() {
  _gf_plan=$("$_gf_here/../bin/flywheel" guard --tool ${name} -- "$@") || _gf_plan=
  _gf_step= _gf_mapped= ${variables}
  for _gf_word in $_gf_plan; do
    case $_gf_step$_gf_word in
    '${planVersion}') _gf_step=plan: ;;
    plan:run) _gf_step=run: ;;
    plan:stop) _gf_step=stop: ;;
    inject:profile=* | setting:profile=*) _gf_mapped=\${_gf_word#profile=} ;;
${steps}    *) _gf_step=bad: ;;
    esac
  done
  case $_gf_step in
  run:) _gf_run "$@" ;;
  stop:) exit 78 ;;
${end}  esac
  printf '%s\\n' 'flywheel: refused ${name}: the guard could not run' '  next: flywheel status' >&2
  exit 78
}

`;
}

/** From here on an unquoted list is split at newlines and nothing else, and no pattern is expanded. */
export const listing = `set -f
IFS='
'
`;

export const places = `# Where things are (contract/paths.ts).
_gf_places() {
  case \${HOME-} in
  /*) ;;
  *) return 1 ;;
  esac
  _gf_state=$HOME/.local/state/gloriousflywheel
  _gf_runtime=$_gf_state/run
  case \${XDG_RUNTIME_DIR-} in /*) _gf_runtime=$XDG_RUNTIME_DIR/gloriousflywheel ;; esac
  case \${GF_RUNTIME_DIR-} in /*) _gf_runtime=$GF_RUNTIME_DIR ;; esac
  case \${XDG_STATE_HOME-} in /*) _gf_state=$XDG_STATE_HOME/gloriousflywheel ;; esac
  case \${GF_STATE_DIR-} in /*) _gf_state=$GF_STATE_DIR ;; esac
  _gf_config=$HOME/.config/gloriousflywheel
  case \${XDG_CONFIG_HOME-} in /*) _gf_config=$XDG_CONFIG_HOME/gloriousflywheel ;; esac
  case \${GF_CONFIG_DIR-} in /*) _gf_config=$GF_CONFIG_DIR ;; esac
}

`;

export const placesOrSlow = `if ! _gf_places; then _gf_slow "$@"; fi

`;

export const tick = `# The clock of leases: seconds, and which boot's they are.
_gf_tick() {
  if [ -r /proc/uptime ] && [ -r /proc/sys/kernel/random/boot_id ]; then
    _gf_now=
    { IFS= read -r _gf_now || [ -n "$_gf_now" ]; } </proc/uptime
    _gf_now=\${_gf_now%%.*}
    { IFS= read -r _gf_word || [ -n "$_gf_word" ]; } </proc/sys/kernel/random/boot_id
    _gf_word=boot:$_gf_word
  else
    _gf_now=$(date +%s)
    _gf_word=wall:none
  fi
  _gf_boot_now=\${_gf_word#*:}
}

`;

/** How the slow path's last step makes ready for a mark. */
export const leavesWord = `    # No directory to leave word in is no reason not to run.
    _gf_now= _gf_boot_now= _gf_profile=\${GF_PROFILE:-\${_gf_mapped:-default}}
    if _gf_places; then _gf_tick; fi
`;

export function marking(name: ShimName): string {
  return `# Tells the daemon that this command runs (contract/running.ts): the tool will have this shell's pid. It may fail,
# but never say so, wait, or end the shell: nothing but a plain file of ours is opened, and no redirection stands alone.
_gf_mark() {
  case $_gf_now in
  '' | *[!${digit}]* | ?????????????*) return 0 ;;
  esac
  case $_gf_profile in
  '' | -* | *${not(`${lower}${digit}-`)}* | ?????????????????????????????????*) return 0 ;;
  esac
  _gf_record=\${${recordVariable}-}
  case $_gf_record in
  '' | *${not(`${digit}abcdef-`)}* | ?????????????????????????????????????*) _gf_record=none ;;
  esac
  case $_gf_command in
  '' | *${not(`${lower}ABCDEFGHIJKLMNOPQRSTUVWXYZ${digit}_-`)}*) _gf_command=unknown ;;
  esac
  _gf_word=\${PWD-}
  if [ \${#_gf_command} -gt 64 ] || [ \${#_gf_word} -gt ${longestMarked} ]; then return 0; fi
  _gf_dir=$_gf_runtime/${runningDirectory}
  _gf_file=$_gf_dir/$$
  if [ ! -O "$_gf_dir" ] || [ -h "$_gf_dir" ] || [ -h "$_gf_file" ]; then return 0; fi
  if [ -e "$_gf_file" ] && [ ! -f "$_gf_file" ]; then return 0; fi
  { printf '%s\\n' '${runningVersion}' 'tool ${name}' "command $_gf_command" "profile $_gf_profile" "endpoint \${_gf_endpoint:-none}" "record $_gf_record" "boot \${_gf_boot_now:-none}" "started $_gf_now" "directory $_gf_word" >|"$_gf_file"; } 2>/dev/null || :
}

`;
}

/**
 * Ends outside the scope. Leaves `_gf_strict` set where the configuration makes medium commands heavy, and in `_gf_mapped`
 * the profile that the configuration maps the workspace to.
 */
export const scope = `# Scope. The repository's root is the nearest directory with a manifest or a .git; the kernel resolves the dots.
_gf_up=. _gf_root=\${PWD-} _gf_manifest=
while :; do
  if [ -e "$_gf_up/${manifestName}" ]; then
    _gf_manifest=1
    break
  fi
  if [ -e "$_gf_up/.git" ]; then break; fi
  if [ "$_gf_up/.." -ef "$_gf_up" ]; then
    _gf_up=. _gf_root=\${PWD-}
    break
  fi
  if [ \${#_gf_up} -gt 300 ]; then _gf_slow "$@"; fi
  _gf_up=$_gf_up/..
  _gf_root=\${_gf_root%/*}
done
# The slow path's last verdict on this root, while nothing that it rests on has come, gone or changed since.
_gf_present=none
if [ -n "$_gf_manifest" ]; then _gf_present=manifest; fi
if [ -e "$_gf_up/${envFileName}" ]; then _gf_present=$_gf_present+env; fi
if [ -e "$_gf_config/config.toml" ]; then _gf_present=$_gf_present+config; fi
_gf_verdict=unenrolled _gf_strict= _gf_mapped=
if [ $_gf_present != none ]; then
  _gf_file=$_gf_state/workspace$_gf_root/.verdict
  if [ ! -f "$_gf_file" ] || [ ! -O "$_gf_file" ] || [ -h "$_gf_file" ] || [ ! -r "$_gf_file" ]; then _gf_slow "$@"; fi
  for _gf_word in "$_gf_up/${manifestName}" "$_gf_up/${envFileName}" "$_gf_config/config.toml" "$_gf_config/trust.json"; do
    if [ "$_gf_word" -nt "$_gf_file" ]; then _gf_slow "$@"; fi
  done
  { IFS= read -r _gf_verdict && IFS= read -r _gf_word; } <"$_gf_file" || _gf_verdict=
  if [ ! "$_gf_word" -ef "$_gf_up" ]; then _gf_verdict=; fi
  case $_gf_verdict in
  *' ${verdictProfile}='?*) _gf_mapped=\${_gf_verdict##* ${verdictProfile}=} _gf_verdict=\${_gf_verdict%" ${verdictProfile}=$_gf_mapped"} ;;
  esac
  case $_gf_verdict in
  "enrolled $_gf_present" | "unenrolled $_gf_present") ;;
  "enrolled $_gf_present ${mediumIsHeavy}" | "unenrolled $_gf_present ${mediumIsHeavy}") _gf_strict=1 ;;
  *) _gf_slow "$@" ;;
  esac
  _gf_verdict=\${_gf_verdict%% *}
fi
case \${GF_GUARD_SCOPE-}:$_gf_verdict in
all:* | :enrolled | enrolled:enrolled) ;;
:unenrolled | enrolled:unenrolled) _gf_run "$@" ;;
*) _gf_slow "$@" ;;
esac

`;

export const profileInUse = `_gf_profile=\${GF_PROFILE:-\${_gf_mapped:-default}}
case $_gf_profile in
-* | *${not(`${lower}${digit}-`)}* | ?????????????????????????????????*) _gf_slow "$@" ;;
esac

`;

export const endpointGrammar = `# The endpoint grammar (contract/endpoint.ts), canonical spellings only: what passes here passes there, unchanged.
_gf_valid() {
  if [ \${#1} -gt 512 ]; then return 1; fi
  case $1 in
  *${not(urlCharacters)}* | grpc://*/* | grpcs://*/*) return 1 ;;
  grpc://?* | grpcs://?* | http://?* | https://?*) ;;
  *) return 1 ;;
  esac
  _gf_part=\${1#*://}
  _gf_host=\${_gf_part%%/*}
  case \${_gf_part#"$_gf_host"} in
  */ | *//* | */./* | */../* | */. | */.. | *[][]*) return 1 ;;
  esac
  _gf_port=80
  case $_gf_host in
  \\[*\\]) ;;
  \\[*\\]:*) _gf_port=\${_gf_host##*:} _gf_host=\${_gf_host%:*} ;;
  *:*) _gf_port=\${_gf_host#*:} _gf_host=\${_gf_host%%:*} ;;
  esac
  case $_gf_port in
  '' | *[!${digit}]* | 0* | ??????*) return 1 ;;
  esac
  if [ "$_gf_port" -gt 65535 ]; then return 1; fi
  _gf_left=0
  case $_gf_host in
  \\[*)
    _gf_host=\${_gf_host#?} _gf_host=\${_gf_host%?}
    # Groups of up to four digits; what \`::\` stands for is longer than any other run of zeros.
    case :$_gf_host: in
    *[!:${digit}abcdef]* | *[!:][!:][!:][!:][!:]* | *:0[!:]* | *:0:0:*) return 1 ;;
    esac
    case $_gf_host in
    '' | *:::* | *::*::* | :[!:]* | *[!:]: | 0::* | *:0::* | *::0 | *::0:*) return 1 ;;
    esac
    _gf_part=$_gf_host:
    while [ -n "$_gf_part" ]; do
      if [ -n "\${_gf_part%%:*}" ]; then _gf_left=$((_gf_left + 1)); fi
      _gf_part=\${_gf_part#*:}
    done
    case $_gf_host:$_gf_left in
    *::*:[0123456]) ;;
    *::*) return 1 ;;
    *:8) ;;
    *) return 1 ;;
    esac
    ;;
  *)
    case $_gf_host in
    '' | *${not(`${lower}${digit}._-`)}* | .* | *. | *..* | -* | *- | *.-* | *-.*) return 1 ;;
    esac
    if [ \${#_gf_host} -gt 253 ]; then return 1; fi
    _gf_part=$_gf_host.
    while [ -n "$_gf_part" ]; do
      if [ \${#_gf_part} -gt 64 ]; then
        _gf_long=\${_gf_part%%.*}
        if [ \${#_gf_long} -gt 63 ]; then return 1; fi
      fi
      case \${_gf_part%%.*} in
      ${octet}) _gf_left=$((_gf_left + 1)) ;;
      *) _gf_left=$((_gf_left + 10)) ;;
      esac
      _gf_part=\${_gf_part#*.}
    done
    # A host that ends in a number is four of them, or none of ours.
    case \${_gf_host##*.} in
    0x*) return 1 ;;
    *[!${digit}]*) ;;
    *) if [ $_gf_left -ne 4 ]; then return 1; fi ;;
    esac
    ;;
  esac
}

`;

type Key = readonly [key: string, variable: string];

/** What a guarded name does with whatever it is not sure of. */
export const slowly = '_gf_slow "$@"';

/**
 * Reads the file of one kind into its variables; each of `more`, keys that only this kind has, must be there.
 * @param unsure the sh for a file that may not be believed
 */
export function publishedFile(kind: "bazel" | "nix", more: readonly Key[] = [], unsure: string = slowly): string {
  const keys: readonly Key[] = [...publishedKeys, ...more];
  return `# The published attachment (contract/published.ts), every directory on the way and the file the user's own.
_gf_file=$_gf_runtime/attachment/$_gf_profile/${kind}
for _gf_dir in "$_gf_runtime" "$_gf_runtime/attachment" "$_gf_runtime/attachment/$_gf_profile" "$_gf_file"; do
  if [ ! -O "$_gf_dir" ] || [ -h "$_gf_dir" ]; then ${unsure}; fi
done
if [ ! -f "$_gf_file" ] || [ ! -r "$_gf_file" ]; then ${unsure}; fi
${keys.map(([, variable]) => `${variable}=`).join(" ")} _gf_aliases= _gf_bad= _gf_count=0 _gf_size=0
# Nothing is run in here: standard input is the file.
{
  IFS= read -r _gf_word || _gf_word=
  if [ "$_gf_word" != '${publishedVersion}' ]; then _gf_bad=1; fi
  while IFS= read -r _gf_word; do
    _gf_size=$((_gf_size + \${#_gf_word} + 1))
    _gf_value=\${_gf_word#* }
    case $_gf_word in
${keys.map(([key, variable]) => `    '${key} '?*) if [ -n "$${variable}" ]; then _gf_bad=1; fi; ${variable}=$_gf_value ;;`).join("\n")}
    'alias '?*)
      _gf_valid "$_gf_value" || _gf_bad=1
      _gf_aliases="$_gf_aliases $_gf_value " _gf_count=$((_gf_count + 1))
      ;;
    *) _gf_bad=1 ;;
    esac
    if [ $_gf_count -gt ${mostAliases} ] || [ $_gf_size -gt ${mostCharacters} ] || [ -n "$_gf_bad" ]; then
      _gf_bad=1
      break
    fi
  done
  # What follows the last newline: the file is cut off.
  if [ -n "$_gf_word" ]; then _gf_bad=1; fi
} <"$_gf_file"
if [ \${#_gf_reason} -gt ${longestReason} ] || [ -n "$_gf_bad" ] || [ -z "$_gf_reason" ] || [ "$_gf_kind:$_gf_who" != "${kind}:$_gf_profile" ]; then ${unsure}; fi
`;
}

/**
 * Goes on where the lease runs.
 * @param unsure the sh for what is no lease
 * @param over the sh for one that is another clock's or boot's, or has ended
 */
export function leaseThatRuns({ unsure, over }: { readonly unsure: string; readonly over: string }): string {
  return `# The lease, by the boot clock.
_gf_tick
if [ "$_gf_clock:$_gf_boot" != "$_gf_word" ]; then ${over}; fi
for _gf_word in "$_gf_verified" "$_gf_until" "$_gf_now" "$_gf_pid"; do
  case $_gf_word in
  '' | *[!${digit}]* | 0?* | ?????????????*) ${unsure} ;;
  esac
done
if [ "$_gf_verified" -gt "$_gf_now" ] || [ "$_gf_now" -gt "$_gf_until" ] || [ $((_gf_until - _gf_verified)) -gt ${lease.longestBelievable} ]; then ${over}; fi

`;
}

export const leaseRuns = leaseThatRuns({ unsure: slowly, over: slowly });
