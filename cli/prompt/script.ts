/**
 * `flywheel-prompt`: the segment of cli/prompt/segment.ts as a POSIX sh script, since a prompt is drawn after every command:
 * no Node, and no fork where /proc is. It shares the fast path's parts and their rules (shim/fast-path.ts): no value is used
 * before `case` has matched it, and what comes out of a published file is a word of ours or a host by the endpoint grammar,
 * so that no shell finds anything in it to expand. What it is not sure of (help, --json, a mistake) it leaves to Node.
 */
import { profileStates, substrateModes } from "../../contract/mode.ts";
import { digit, endpointGrammar, leaseThatRuns, lower, not, places, publishedFile, tick } from "../../shim/fast-path/common.ts";
import { keyGrammar } from "../../shim/fast-path/nix.ts";
import { defaultSymbol } from "./segment.ts";
import { around, colourOf, percent, styles, type Word, wordOfState } from "./style.ts";

/** The file's name, in bin/ and beside the shim's `flywheel`. */
export const promptScript = "flywheel-prompt";

/** Whatever may not be believed. */
const unsure = "return 1";

/** A printf format for one text: raw bytes as octals, since nothing in a script should act on whoever looks at it. */
function printfFormat([before, after]: readonly [string, string]): string {
  const escaped = (text: string): string =>
    text
      .replaceAll("%", "%%")
      // biome-ignore lint/suspicious/noControlCharactersInRegex: the escapes of style.ts
      .replaceAll(/[\u0000-\u001f]/g, (control) => `\\${control.charCodeAt(0).toString(8).padStart(3, "0")}`);
  return `${escaped(before)}%s${escaped(after)}\\n`;
}

const words = Object.keys(colourOf) as Word[];

const colouring = styles
  .flatMap((style) => words.map((word) => `  ${style}:${word}) _gf_shape='${printfFormat(around(style, colourOf[word]))}' ;;`))
  .join("\n");

/** The fast path's parts stand at the margin. */
function indented(text: string): string {
  return text.replaceAll(/^(?=.)/gm, "  ");
}

/** A function that leaves the word of one kind in `_gf_is`, and of an attachment its endpoint and aliases; 1: unknown. */
function reading(kind: "bazel" | "nix"): string {
  const more =
    kind === "nix"
      ? ([
          ["key", "_gf_key"],
          ["trusted-user", "_gf_trusted"],
        ] as const)
      : [];
  const own =
    kind === "nix"
      ? `  case $_gf_endpoint in none | http*) ;; *) ${unsure} ;; esac
  case $_gf_aliases in *' grpc'*) ${unsure} ;; esac
  case $_gf_is:\${_gf_key:+key}:$_gf_trusted in
  *::) ;;
  unattached:*) ${unsure} ;;
  *:key:true | *:key:false)
${indented(indented(keyGrammar(unsure)))}    ;;
  *) ${unsure} ;;
  esac
`
      : "";
  return `_gf_look_${kind}() {
  _gf_is=unattached _gf_endpoint= _gf_aliases= _gf_name=
  for _gf_dir in "$_gf_runtime" "$_gf_runtime/attachment" "$_gf_runtime/attachment/$_gf_profile"; do
    if [ ! -e "$_gf_dir" ] && [ ! -h "$_gf_dir" ]; then return 0; fi
    if [ ! -d "$_gf_dir" ] || [ ! -x "$_gf_dir" ] || [ ! -O "$_gf_dir" ] || [ -h "$_gf_dir" ]; then ${unsure}; fi
  done
  _gf_file=$_gf_runtime/attachment/$_gf_profile/${kind}
  if [ ! -e "$_gf_file" ] && [ ! -h "$_gf_file" ]; then return 0; fi
${indented(publishedFile(kind, more, unsure))}  case $_gf_is in ${profileStates.join(" | ")}) ;; *) ${unsure} ;; esac
  case $_gf_mode in ${substrateModes.join(" | ")}) ;; *) ${unsure} ;; esac
  case $_gf_slowly:$_gf_may in true:true | true:false | false:true | false:false) ;; *) ${unsure} ;; esac
  case $_gf_is:$_gf_endpoint in
  unattached:none) ;;
  unattached:* | *:none) ${unsure} ;;
  *)
    _gf_valid "$_gf_endpoint" || ${unsure}
    _gf_name=$_gf_host
    ;;
  esac
${own}${indented(leaseThatRuns({ unsure, over: "_gf_is=unattached; return 0" }))}  case $_gf_is in
${profileStates.map((state) => `  ${state}) _gf_is=${wordOfState[state]} ;;`).join("\n")}
  esac
${kind === "nix" ? '  if [ -z "$_gf_key" ]; then _gf_is=unattached; fi\n' : ""}}

`;
}

/** The whole text of the script. The launcher reads it in as well, with the word `prompt` in front of its arguments. */
export function promptText(): string {
  return `#!/bin/sh
# flywheel prompt, for PS1 and its kind: it reads what is published. Generated; see cli/prompt/.
${places}${tick}${endpointGrammar}${reading("bazel")}${reading("nix")}# Of the endpoint's host and its aliases' the first that is a name gives its first label; none: an empty word.
_gf_short() {
  _gf_word=
  while :; do
    case $_gf_name in
    *:*) ;;
    *)
      case \${_gf_name##*.} in
      *[!${digit}]*)
        _gf_word=\${_gf_name%%.*}
        return 0
        ;;
      esac
      ;;
    esac
    case $_gf_aliases in
    ' '?*) ;;
    *) return 0 ;;
    esac
    _gf_aliases=\${_gf_aliases# }
    _gf_valid "\${_gf_aliases%% *}" || return 0
    _gf_name=$_gf_host _gf_aliases=\${_gf_aliases#* }
  done
}

# Puts the values into the user's format; 1: there is a placeholder that stands for nothing.
_gf_expand() {
  _gf_out= _gf_left=$_gf_format
  while :; do
    case $_gf_left in
    *[%]*) ;;
    *)
      _gf_out=$_gf_out$_gf_left
      return 0
      ;;
    esac
    _gf_out=$_gf_out\${_gf_left%%[%]*}
    _gf_left=\${_gf_left#*[%]}
    case $_gf_style:$_gf_left in
    *:i*) _gf_out=$_gf_out$_gf_symbol ;;
    *:s*) _gf_out=$_gf_out$_gf_bazel ;;
    *:n*) _gf_out=$_gf_out$_gf_nix ;;
    *:h*) _gf_out=$_gf_out$_gf_cache ;;
    *:e*) _gf_out=$_gf_out$_gf_from ;;
    *:p*) _gf_out=$_gf_out$_gf_profile ;;
    zsh:[%]*) _gf_out=$_gf_out${percent("zsh")} ;;
    *:[%]*) _gf_out=$_gf_out${percent(undefined)} ;;
    *) return 1 ;;
    esac
    _gf_left=\${_gf_left#?}
  done
}

# Prints the segment; 1: that is Node's to do.
_gf_prompt() {
  _gf_format= _gf_own= _gf_symbol='${defaultSymbol}' _gf_style= _gf_profile=\${GF_PROFILE:-default} _gf_want=
  for _gf_word in "$@"; do
    if [ -n "$_gf_want" ]; then
      case $_gf_word in --*) return 1 ;; esac
      _gf_word=$_gf_want=$_gf_word _gf_want=
    fi
    case $_gf_word in
    --format | --symbol | --color | --profile) _gf_want=$_gf_word ;;
    --format=*) _gf_format=\${_gf_word#*=} _gf_own=1 ;;
    --symbol=*) _gf_symbol=\${_gf_word#*=} ;;
    ${styles.map((style) => `--color=${style}`).join(" | ")}) _gf_style=\${_gf_word#*=} ;;
    --profile=*)
      _gf_profile=\${_gf_word#*=}
      case $_gf_profile in
      '' | -* | *${not(`${lower}${digit}-`)}* | ?????????????????????????????????*) return 1 ;;
      esac
      ;;
    *) return 1 ;;
    esac
  done
  if [ -n "$_gf_want" ]; then return 1; fi
  _gf_bazel=unknown _gf_nix=unknown _gf_from= _gf_cache=
  case $_gf_profile in
  -* | *${not(`${lower}${digit}-`)}* | ?????????????????????????????????*) _gf_profile=? ;;
  *)
    if _gf_places; then
      if _gf_look_bazel; then
        _gf_bazel=$_gf_is
        case $_gf_is in
        unattached) ;;
        *)
          _gf_from=$_gf_name
          _gf_short
          _gf_cache=\${_gf_word:-$_gf_from}
          ;;
        esac
      fi
      # Of Nix only where it is asked for, or this machine has one.
      case $_gf_own:$_gf_format in
      1:*[%]n*) if _gf_look_nix; then _gf_nix=$_gf_is; fi ;;
      1:*) ;;
      *)
        _gf_nix=$_gf_bazel
        if command -v nix >/dev/null; then
          _gf_nix=unknown
          if _gf_look_nix; then _gf_nix=$_gf_is; fi
        fi
        ;;
      esac
    fi
    ;;
  esac
  # Whatever is attached, an escape that is exported has every command run alone.
  case \${GF_GUARD_BYPASS-} in
  *[![:space:]]*) _gf_bazel=escape _gf_nix=escape _gf_from= _gf_cache= ;;
  esac
  if [ -n "$_gf_own" ]; then
    _gf_expand || return 1
  else
    _gf_out=$_gf_symbol\${_gf_symbol:+ }$_gf_bazel\${_gf_cache:+ }$_gf_cache
    if [ $_gf_nix != $_gf_bazel ]; then _gf_out="$_gf_out, nix $_gf_nix"; fi
  fi
  _gf_shape='%s\\n'
  if [ -z "\${NO_COLOR-}" ]; then
    case $_gf_style:$_gf_bazel in
${colouring.replaceAll(/^/gm, "  ")}
    esac
  fi
  # shellcheck disable=SC2059 # one of the shapes above
  printf "$_gf_shape" "$_gf_out"
}

case $0 in
${promptScript} | */${promptScript})
  if _gf_prompt "$@"; then exit 0; fi
  case $0 in
  */*) _gf_word=\${0%/*}/flywheel ;;
  *) _gf_word=flywheel ;;
  esac
  exec "$_gf_word" prompt "$@"
  ;;
esac
# Read in by the launcher, which goes on where this does not exit.
_gf_behind() {
  shift
  _gf_prompt "$@"
}
if _gf_behind "$@"; then exit 0; fi
`;
}
