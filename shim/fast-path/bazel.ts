/** The fast path of bazel and bazelisk. */
import {
  bazeliskModes,
  booleanOptions,
  cacheOptions,
  commandClasses,
  mostArgumentsToMove,
  nullaryStartupOptions,
  policyOption,
  shortBooleanOptions,
  unaryStartupOptions,
} from "../../contract/bazel/commands.ts";
import { silentEventFlags } from "../../contract/bazel/injection.ts";
import { exportedVariable } from "../../contract/parity-environment.ts";
import {
  anyOf,
  digit,
  endpointGrammar,
  leaseRuns,
  leavesWord,
  listing,
  marking,
  not,
  opening,
  places,
  placesOrSlow,
  profileInUse,
  publishedFile,
  running,
  scope,
  slowPath,
  tick,
  urlCharacters,
} from "./common.ts";
import { type BazelName, markerFile } from "./names.ts";

function withNo(names: readonly string[]): string[] {
  return names.flatMap((name) => [`--${name}`, `--no${name}`]);
}

function commandsThat(test: (commandClass: string) => boolean): string[] {
  return Object.entries(commandClasses)
    .filter(([, commandClass]) => test(commandClass))
    .map(([name]) => name);
}

/** The whole text of the script for one name. */
export function bazelFastPath(name: BazelName): string {
  const plans = {
    variables: "_gf_at= _gf_flags= _gf_front= _gf_endpoint=",
    steps: `    plan:inject=*)
      _gf_step=inject: _gf_at=\${_gf_word#inject=}
      case $_gf_at in
      '' | *[!${digit}]* | ???????*) _gf_step=bad: ;;
      esac
      ;;
    inject:command=*) _gf_command=\${_gf_word#command=} ;;
    inject:startup=--bazelrc=/*)
      case $_gf_word in *${not(`${urlCharacters}+@,=`)}*) _gf_step=bad: ;; esac
      _gf_front="$_gf_front
\${_gf_word#startup=}"
      ;;
    inject:--*)
      _gf_flags="$_gf_flags
$_gf_word"
      case $_gf_word in --remote_cache=*) _gf_endpoint=\${_gf_word#*=} ;; esac
      ;;
`,
    end: `  inject:)
${leavesWord}    _gf_inject "$@"
    ;;
`,
  };
  return `${opening(name, ", USE_BAZEL_VERSION and tools/bazel")}case \${USE_BAZEL_VERSION-} in
*/*)
  if [ -e "\${USE_BAZEL_VERSION%/*}/${markerFile}" ]; then
    printf '%s\\n' 'flywheel: USE_BAZEL_VERSION names the shim, which would call itself' '  next: set USE_BAZEL_VERSION to a version or to the real Bazel' >&2
    exit 127
  fi
  ;;
esac

${running}# Most often the first word is the command: sh then need not even read what follows.
case \${1-} in
${anyOf(commandsThat((commandClass) => commandClass !== "heavy"))}) _gf_run "$@" ;;
esac

# The command: startup options come before it (option_processor.cc).
_gf_class= _gf_value= _gf_policy= _gf_command= _gf_front= _gf_runtime= _gf_index=0
for _gf_word in "$@"; do
  if [ -n "$_gf_value" ]; then
    _gf_value=
  else
    case $_gf_word in
    ${anyOf(commandsThat((commandClass) => commandClass !== "heavy"))}) _gf_class=pass ;;
    ${anyOf(commandsThat((commandClass) => commandClass === "heavy"))}) _gf_class=heavy ;;
    --${policyOption}) _gf_policy=1 _gf_value=1 ;;
    --${policyOption}=*) _gf_policy=1 ;;
    ${anyOf(unaryStartupOptions.filter((option) => option !== policyOption).map((option) => `--${option}`))}) _gf_value=1 ;;
    ${anyOf(withNo(nullaryStartupOptions))} | --*=*) ;;
    ${anyOf(bazeliskModes)}) if [ $_gf_index -ne 0 ]; then _gf_class=unclear; fi ;;
    -*) _gf_class=unclear ;;
    *) _gf_class=heavy ;;
    esac
    if [ -n "$_gf_class" ]; then break; fi
  fi
  _gf_index=$((_gf_index + 1))
done
case $_gf_class in
'' | pass) _gf_run "$@" ;;
heavy) _gf_command=$_gf_word ;;
esac

${places}${tick}${marking(name)}# Puts the flags (one a line) before argument number _gf_at and runs the tool.
_gf_inject() {
  if [ "$_gf_at" -eq $# ]; then
    set -- "$@" $_gf_flags
  else
    _gf_index=0
    while [ $_gf_index -lt "$_gf_at" ]; do
      _gf_index=$((_gf_index + 1))
      eval "_gf_word_$_gf_index=\\$1"
      shift
    done
    set -- $_gf_flags "$@"
    while [ $_gf_index -gt 0 ]; do
      eval "set -- \\"\\$_gf_word_$_gf_index\\" \\"\\$@\\""
      _gf_index=$((_gf_index - 1))
    done
  fi
  # Startup options of a plan go in front of everything.
  if [ -n "$_gf_front" ]; then set -- $_gf_front "$@"; fi
  _gf_mark
  _gf_run "$@"
}

${slowPath(name, plans)}${listing}if [ "$_gf_class$_gf_policy" != heavy ] || [ -n "\${GF_GUARD_BYPASS+set}" ]; then _gf_slow "$@"; fi

# The options behind the command: nothing about the cache, and nothing that would swallow what is appended.
_gf_at= _gf_open= _gf_count=0
for _gf_word in "$@"; do
  if [ $_gf_count -gt $_gf_index ]; then
    case $_gf_word in
    --)
      if [ -n "$_gf_open" ] || [ $_gf_count -gt ${mostArgumentsToMove} ]; then _gf_slow "$@"; fi
      _gf_at=$_gf_count
      break
      ;;
    ${withNo(cacheOptions)
      .map((option) => `${option} | ${option}=*`)
      .join(" | ")}) _gf_slow "$@" ;;
    -*=*) _gf_open= ;;
    ${anyOf([...shortBooleanOptions, ...withNo(booleanOptions)])}) _gf_open= ;;
    -*) _gf_open=1 ;;
    *) _gf_open= ;;
    esac
  fi
  _gf_count=$((_gf_count + 1))
done
if [ -z "$_gf_at" ]; then
  if [ -n "$_gf_open" ]; then _gf_slow "$@"; fi
  _gf_at=$#
fi

${placesOrSlow}${scope}# What the environment says against it: anything but silence or agreement is the slow path's.
if [ -n "\${BAZEL_REMOTE_EXECUTOR-}\${BAZEL_REMOTE_INSTANCE_NAME-}\${BAZEL_CREDENTIAL_HELPER-}\${GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE-}\${GF_REAPI_CREDENTIAL_HELPER_TOKEN-}" ]; then _gf_slow "$@"; fi
case \${GF_BAZEL_SUBSTRATE_MODE-} in '' | shared-cache-backed) ;; *) _gf_slow "$@" ;; esac
_gf_upload=
case \${GF_BAZEL_REMOTE_UPLOAD-} in
'') ;;
false | 0 | no) _gf_upload=false ;;
true | 1 | yes) _gf_upload=true ;;
*) _gf_slow "$@" ;;
esac
case \${GF_BAZEL_CACHE_ROLE-} in '') ;; read-only) _gf_upload=false ;; *) _gf_slow "$@" ;; esac
${profileInUse}${endpointGrammar}${publishedFile("bazel")}case $_gf_is:$_gf_mode:$_gf_slowly:$_gf_may in
shared-cache-backed:shared-cache-backed:false:true | shared-cache-backed:shared-cache-backed:false:false) ;;
local-proof:shared-cache-backed:false:true | local-proof:shared-cache-backed:false:false)
  # A loopback cache counts for whoever says so himself; the slow path knows the config.
  case \${GF_BAZEL_LOCAL_PROOF-}:\${GF_BAZEL_ALLOW_LOCALHOST_PROOF-} in
  port-forward:true) ;;
  *) _gf_slow "$@" ;;
  esac
  ;;
*) _gf_slow "$@" ;;
esac
case \${GF_FLYWHEEL_PROFILE_STATE-} in '' | "$_gf_is") ;; *) _gf_slow "$@" ;; esac
_gf_valid "$_gf_endpoint" || _gf_slow "$@"
# What a shell hook of ours exported is as good as unset.
case \${BAZEL_REMOTE_CACHE-} in
'' | "$_gf_endpoint" | "\${${exportedVariable}-}") ;;
*${not(urlCharacters)}*) _gf_slow "$@" ;;
*)
  case $_gf_aliases in
  *" $BAZEL_REMOTE_CACHE "*) ;;
  *) _gf_slow "$@" ;;
  esac
  ;;
esac

${leaseRuns}_gf_upload=\${_gf_upload:-$_gf_may}
_gf_flags="--remote_cache=$_gf_endpoint
--remote_accept_cached
--remote_upload_local_results=$_gf_upload
--remote_executor="
case $_gf_endpoint:$_gf_upload in
grpc*:false) _gf_flags="$_gf_flags
${silentEventFlags.join("\n")}" ;;
esac
_gf_inject "$@"
`;
}
