/** The fast path of nix and its other names. What it makes of an argument list is contract/nix/command-line.ts's quick judgement. */
import {
  aloneOptions,
  type NixClass,
  type NixName,
  nixCommandClasses,
  nixGroups,
  nixLetters,
  nixOneWordOptions,
  nixTwoWordOptions,
  oneWordOptions,
  printingOptions,
  restOptions,
  sparingOptions,
  standsForItself,
  startsProgram,
  substitutionOptions,
  substitutionSettings,
  takesRest,
  toolWords,
  twoWordOptions,
} from "../../contract/nix/commands.ts";
import { limits } from "../../contract/nix/injection.ts";
import {
  anyOf,
  digit,
  endpointGrammar,
  leaseRuns,
  leavesWord,
  listing,
  lower,
  marking,
  not,
  opening,
  places,
  placesOrSlow,
  profileInUse,
  publishedFile,
  running,
  scope,
  slowly,
  slowPath,
  tick,
} from "./common.ts";

const letters = `${lower}${lower.toUpperCase()}`;

function namesOf(commandClass: NixClass): string[] {
  return Object.entries(nixCommandClasses)
    .filter(([, each]) => each === commandClass)
    .map(([name]) => name);
}

/** Where the command is, its class, and whether an option speaks of binary caches. */
function commandOf(name: NixName): string {
  const tool = name === "nix" ? undefined : toolWords[name];
  const ones = name === "nix" ? [...oneWordOptions, ...nixOneWordOptions] : [...oneWordOptions, ...toolWords[name].one];
  const twos = name === "nix" ? [...twoWordOptions, ...nixTwoWordOptions] : twoWordOptions;
  const aboutCaches = (takes: 0 | 1): string => anyOf(substitutionOptions.filter((option) => (standsForItself(option) ? 0 : 1) === takes));
  const alone = tool?.letters ?? nixLetters;
  return `_gf_class=${tool?.base ?? ""} _gf_command= _gf_runtime= _gf_skip=0 _gf_naming= _gf_open= _gf_doubt=
for _gf_word in "$@"; do
  if [ $_gf_skip -gt 0 ]; then
    _gf_skip=$((_gf_skip - 1))
    if [ -n "$_gf_naming" ]; then
      _gf_naming=
      case $_gf_word in
      ${anyOf(substitutionSettings)}) _gf_doubt=1 ;;
      esac
    fi
    continue
  fi
  _gf_was=$_gf_open _gf_open=
  case $_gf_word in
  --)
    if [ -n "$_gf_was" ]; then _gf_doubt=1; fi
    break
    ;;
  ${anyOf(printingOptions)}) _gf_run "$@" ;;
${
  tool === undefined
    ? `  ${anyOf(restOptions)})
    case $_gf_command in
    ${anyOf(takesRest)})
      if [ -n "$_gf_was" ]; then _gf_doubt=1; fi
      break
      ;;
    *) ${unknown(true)} ;;
    esac
    ;;
`
    : raising(tool.words)
}  ${anyOf(sparingOptions)}) ;;
  ${aboutCaches(0)}) _gf_doubt=1 ;;
  ${aboutCaches(1)}) _gf_doubt=1 _gf_skip=1 ;;
  --option) _gf_skip=2 _gf_naming=1 ;;
  ${anyOf(twos.filter((option) => option !== "--option"))}) _gf_skip=2 ;;
  ${anyOf(ones.filter((option) => !substitutionOptions.includes(option)))}) _gf_skip=1 ;;
  ${anyOf(aloneOptions)}) ;;
  -j[${digit}]*)
    case \${_gf_word#-j} in
    *[!${digit}]*) ${unknown(tool === undefined)} ;;
    esac
    ;;
  - | --* | -*[!${alone}]*) ${unknown(tool === undefined)} ;;
  -*) ${tool === undefined ? ":" : bundled(tool.words, alone)} ;;
${
  tool === undefined
    ? `  *)
    if [ -z "$_gf_class" ]; then
      _gf_command=$_gf_command\${_gf_command:+ }$_gf_word
      case $_gf_command in
      ${anyOf(namesOf("light"))}) _gf_run "$@" ;;
      ${anyOf(namesOf("medium"))}) _gf_class=medium ;;
      ${anyOf(namesOf("heavy"))}) _gf_class=heavy ;;
      ${anyOf(namesOf("entry"))}) _gf_class=entry ;;
      ${anyOf(nixGroups)}) ;;
      *) _gf_class=unclear ;;
      esac
    fi
    ;;
`
    : ""
}  esac
  if [ "$_gf_class" = unclear ]; then break; fi
done
`;
}

/** An option that nobody knows: before `nix`'s command its value could pass for that. */
function unknown(beforeCommand: boolean): string {
  return beforeCommand ? `if [ -z "$_gf_class" ]; then _gf_class=unclear; else _gf_open=1; fi` : "_gf_open=1";
}

/** The arms by which a tool's own words raise the class, the highest last said. */
function raising(words: Readonly<Record<string, NixClass>>): string {
  return Object.entries(grouped(words))
    .map(([commandClass, names]) => `  ${anyOf(names)}) ${raise(commandClass)} ;;\n`)
    .join("");
}

function raise(commandClass: string): string {
  return commandClass === "medium" ? "if [ $_gf_class = light ]; then _gf_class=medium; fi" : `_gf_class=${commandClass}`;
}

/** Several letters behind one dash: each is a word of its own. */
function bundled(words: Readonly<Record<string, NixClass>>, alone: string): string {
  const found = Object.entries(grouped(words)).flatMap(([commandClass, names]) => {
    const each = names.flatMap((name) => (name.length === 2 && alone.includes(name.slice(1)) ? [name.slice(1)] : []));
    return each.length === 0 ? [] : [`case $_gf_word in *[${each.join("")}]*) ${raise(commandClass)} ;; esac`];
  });
  return found.length === 0 ? ":" : found.join("; ");
}

function grouped(words: Readonly<Record<string, NixClass>>): Record<string, string[]> {
  const names = (each: NixClass): string[] => Object.keys(words).filter((name) => words[name] === each);
  return Object.fromEntries([...new Set(Object.values(words))].map((each) => [each, names(each)]));
}

/** Hands the settings (one `name=value` a line) to the tool. */
const attaching = `# A setting is a flag in front of the user's, or a line of NIX_CONFIG behind the user's.
_gf_attach() {
  if [ $_gf_channel = flags ]; then
    _gf_front=
    for _gf_word in $_gf_settings; do
      _gf_front="$_gf_front
--\${_gf_word%%=*}
\${_gf_word#*=}"
    done
    set -- $_gf_front "$@"
  else
    for _gf_word in $_gf_settings; do
      NIX_CONFIG="\${NIX_CONFIG-}\${NIX_CONFIG:+
}\${_gf_word%%=*} = \${_gf_word#*=}"
    done
    export NIX_CONFIG
    # What is entered or started would keep this pid, and the daemon busy, for as long as somebody works in it.
    if [ -n "$_gf_command" ]; then _gf_mark; fi
  fi
  _gf_run "$@"
}

`;

const plans = {
  variables: "_gf_settings= _gf_command= _gf_endpoint=",
  steps: `    plan:flags | plan:environment) _gf_step=setting: _gf_channel=$_gf_word ;;
    setting:command=*) _gf_command=\${_gf_word#command=} ;;
    setting:[${lower}]*=?*)
      _gf_settings="$_gf_settings
$_gf_word"
      case $_gf_word in extra-substituters=*) _gf_endpoint=\${_gf_word#*=} ;; esac
      ;;
`,
  end: `  setting:)
${leavesWord}    _gf_attach "$@"
    ;;
`,
};

/** `<name>:<base64>` (contract/nix/key.ts). */
export function keyGrammar(unsure: string = slowly): string {
  return `case $_gf_key in
*:*:* | :* | *: | *${not(`${letters}${digit}:._+/=-`)}*) ${unsure} ;;
*:*) ;;
*) ${unsure} ;;
esac
_gf_word=\${_gf_key%%:*} _gf_value=\${_gf_key#*:}
case $_gf_word in *[+/=]*) ${unsure} ;; esac
case $_gf_value in
*[._-]* | *=?*) ${unsure} ;;
*=) ;;
*) ${unsure} ;;
esac
if [ \${#_gf_word} -gt 128 ] || [ \${#_gf_value} -ne 44 ]; then ${unsure}; fi
`;
}

/** The whole text of the script for one name. */
export function nixFastPath(name: NixName): string {
  const light = namesOf("light");
  const [alone, inGroup] = [light.filter((each) => !each.includes(" ")), light.filter((each) => each.includes(" "))];
  return `${opening(name, "")}${running}${
    name === "nix"
      ? `# Most often the first words are the command: sh then need not even read what follows.
case \${1-} in
${anyOf(alone)}) _gf_run "$@" ;;
esac
case "\${1-} \${2-}" in
${anyOf(inGroup)}) _gf_run "$@" ;;
esac
`
      : ""
  }# Words that a shell completes: Nix answers from what it has.
if [ -n "\${NIX_GET_COMPLETIONS-}" ]; then _gf_run "$@"; fi

${commandOf(name)}case $_gf_class in
'' | light) _gf_run "$@" ;;
esac

${places}${tick}${marking(name)}${attaching}${slowPath(name, plans)}${listing}${
  name === "nix-shell"
    ? `# A script that names nix-shell as its interpreter brings its own options, and must stay the first word.
case \${1-} in
'' | -*) ;;
*)
  if [ -f "$1" ] && [ -r "$1" ]; then
    _gf_word=
    IFS= read -r _gf_word <"$1"
    case $_gf_word in
    '#!'*) _gf_slow "$@" ;;
    esac
  fi
  ;;
esac
`
    : ""
}case $_gf_class in
unclear) _gf_slow "$@" ;;
esac
_gf_channel=${name === "nix-shell" ? "flags" : "environment"}
${
  name === "nix"
    ? `case $_gf_command in
${anyOf(startsProgram)}) _gf_channel=flags ;;
esac
`
    : ""
}
${placesOrSlow}if [ $_gf_class = medium ] && [ ! -e "$_gf_config/config.toml" ]; then _gf_run "$@"; fi
if [ $_gf_class != medium ] && [ -n "\${GF_GUARD_BYPASS+set}" ]; then _gf_slow "$@"; fi

${scope}if [ $_gf_class = medium ]; then
  if [ -z "$_gf_strict" ]; then _gf_run "$@"; fi
  if [ -n "\${GF_GUARD_BYPASS+set}" ]; then _gf_slow "$@"; fi
fi
if [ -n "$_gf_doubt" ]; then _gf_slow "$@"; fi

# What the environment says against it: anything but silence is the slow path's.
case \${NIX_REMOTE-} in '' | auto | daemon | local) ;; *) _gf_slow "$@" ;; esac
case \${NIX_CONFIG-} in *substitute[!r]* | *store*) _gf_slow "$@" ;; esac
${profileInUse}${endpointGrammar}${publishedFile("nix", [
  ["key", "_gf_key"],
  ["trusted-user", "_gf_trusted"],
])}case $_gf_is:$_gf_slowly:$_gf_trusted in
shared-cache-backed:false:true | shared-cache-backed:false:false) ;;
local-proof:false:true | local-proof:false:false)
  # A loopback cache counts for whoever says so himself; the slow path knows the config.
  case \${GF_BAZEL_LOCAL_PROOF-}:\${GF_BAZEL_ALLOW_LOCALHOST_PROOF-} in
  port-forward:true) ;;
  *) _gf_slow "$@" ;;
  esac
  ;;
*) _gf_slow "$@" ;;
esac
_gf_valid "$_gf_endpoint" || _gf_slow "$@"
case $_gf_endpoint in http*) ;; *) _gf_slow "$@" ;; esac
${keyGrammar()}
${leaseRuns}
_gf_settings="extra-substituters=$_gf_endpoint"
if [ $_gf_trusted = true ]; then
  _gf_settings="$_gf_settings
extra-trusted-public-keys=$_gf_key"
fi
# A limit that the user's NIX_CONFIG names is theirs to set.
${limits
  .map(
    (limit) => `case ${limit.needsTrust ? "$_gf_trusted:" : ""}\${NIX_CONFIG-} in
${limit.needsTrust ? "false:* | " : ""}*${limit.name}*) ;;
*) _gf_settings="$_gf_settings
${limit.name}=${limit.value}" ;;
esac
`,
  )
  .join(
    "",
  )}${name === "nix" ? `case $_gf_command in *' '*) _gf_command=\${_gf_command%% *}-\${_gf_command#* } ;; esac` : `_gf_command=${name}`}
_gf_attach "$@"
`;
}
