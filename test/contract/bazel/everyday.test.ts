/**
 * Command lines as public READMEs, scripts, CI files and editors' plug-ins have them: none may be refused for
 * want of understanding, and all but a few must be sh's own to decide. A `?` marks those few. Words are split
 * at single spaces; ␠ stands for a space inside a word.
 */
import { expect, it } from "vitest";
import { readCommandLine } from "../../../contract/bazel/command-line.ts";
import { quickJudgement } from "../../../contract/bazel/quick.ts";

const everyday = `
build -c opt --config=cuda //tensorflow/cc:tutorials_example_trainer
build -c opt --define MEDIAPIPE_DISABLE_GPU=1 //mediapipe/calculators/tensor:streaming
build -c opt --config=oss-fuzz --linkopt=-lc++ --action_env=CC=clang --action_env=CXX=clang++ //fuzz:all
build -c opt tensorflow_serving/...
build --config=release --stamp --jobs=HOST_CPUS --disk_cache=/d --repository_cache=/r --profile=/p //...
build --subcommands --config=cuda --explain=explain.txt //tensorflow:libtensorflow_cc.so --verbose_failures --jobs 128
build --compilation_mode=dbg --subcommands --verbose_failures @com_github_bytecodealliance_wasmtime//:rust_c_api --strip=never
build -s //firmware:firmware
build -k //firmware:all
build //examples:minimal_main
build main:hello-world
build :docker
build --config=bp2build --config=ci --config=android_arm //packages/modules/adb/apex:com.android.adbd
build --config=wasm --jobs=4 //:voxy_wasm //tools:serve_wasm
build --platforms=@rules_go//go/toolchain:linux_amd64 //cmd/...
build --cpu=darwin_arm64 //apps/macos:app
build --remote_download_minimal //...
build --remote_download_outputs=toplevel //...
build --keep_going -- //... -//third_party/...
build --target_pattern_file=targets.txt
build --aspects=@rules_rust//rust:defs.bzl%rust_clippy_aspect --output_groups=clippy_checks //...
build --//:with-mercury //:all
build --@io_bazel_rules_go//go/config:race //...
build --announce_rc --profile=bazel-profile.gz --experimental_execution_log_compact_file=log.zstd --stamp --workspace_status_command=./dev/vars.sh --build_event_binary_file=bep.bin --build_event_binary_file_path_conversion=false //x
build --sandbox_debug --verbose_failures //x
build --toolchain_resolution_debug=.* //x
build --incompatible_strict_action_env //...
build --noshow_progress --color=no --curses=no //...
--nosystem_rc --nohome_rc --output_user_root=/t/proxy-bazel build --config=release //...
--output_base=/tmp/verible build -c opt :install-binaries
--output_base=target build -c opt --verbose_failures=true //:envoy.stripped --repository_cache=/tmp/bazel_repo_cache
--bazelrc=bazelrc/latest.bazelrc test //examples/remotebuildexecution/... --config=remote
--host_jvm_args=-Xmx3g build //...
--max_idle_secs=5 --batch test //...
test //...
test :all
test -c dbg //...
test --test_output=errors --test_env=ENVOY_IP_TEST_VERSIONS=v4only //:echo2_integration_test
test --test_output all ...
test --test_output=streamed --cache_test_results=no --test_timeout=3 --local_termination_grace_seconds=3 //:sh_test
test --config=oss --action_env=CC=clang-21 --repo_env=CC=clang-21 --test_output=errors //x
test --config=asan :all --//:with-mercury --test_output=all
test --config=release --nocache_test_results //...
test --test_filter=MyTest.* //pkg:test
test --test_arg=--ignored --test_env=PATH --test_env=HOME //frankweiler:live
test --runs_per_test=100 --runs_per_test_detects_flakes //x
test --test_tag_filters=-integration,-manual --build_tests_only //...
test --flaky_test_attempts=3 --local_test_jobs=1 //...
test --config self_test //:dummy_test
coverage --combined_report=lcov //...
coverage -s --instrument_test_targets --experimental_cc_coverage --combined_report=lcov //src/pi/complete:test
coverage --nocache_test_results //a //b
run //:gazelle
run //:gazelle -- update-repos -from_file=go.mod -to_macro=deps.bzl%go_dependencies -prune=true
run //:gazelle update
run //:buildifier
run @hedron_compile_commands//:refresh_all
run @rules_go//go -- mod tidy
run @unpinned_maven//:pin
run //:requirements.update
run -c opt //:voxy_native -- --config salvage.cfg
run --config=16m1 //vehicle/mkvi/software/charging -c opt -- -c usbasp
run --config=opt tensorflow/lite/toco:toco -- --input_file=a.pb --output_file=b.tflite
run -c opt //:install /home/u/.local/opt/programl
run -c opt -- --benchmark_filter=Indexed
run //tools:image -- --norun
run --run_under=gdb //x -- --flag
run --script_path=/tmp/run.sh //x
fetch //...
sync --configure
query deps(//...)␠intersect␠kind(go_library,␠//...) --output=label_kind
query --keep_going --noshow_progress kind('oci_push␠rule',␠//...)
cquery --output=build //components/business-logic:business
cquery --output=starlark --starlark:expr=target.files //x
aquery --output=jsonproto --include_commandline //x
mod graph --depth=2
info bazel-bin
info --color=no --noshow_progress release execution_root
clean --expunge
shutdown
version --gnu_format=true
help completion
# bash and zsh completion
--noblock_for_lock query --noshow_progress --keep_going kind('.*rule',␠//...)
--output_base=/tmp/user-completion --batch --host_jvm_args=-Xmx256m query //...
# vscode-bazel
--output_base=/tmp/0a1b2c query --output=proto ...:*
# IntelliJ
build --tool_tag=ijwb:IDEA:ultimate --keep_going --build_event_binary_file=/tmp/bep --nobuild_event_binary_file_path_conversion --build_event_publish_all_actions --override_repository=intellij_aspect=/x --aspects=@@intellij_aspect//:intellij_info_bundled.bzl%intellij_info_aspect --output_groups=intellij-info-generic --curses=no --color=yes --progress_in_terminal_title=no -- //a:b //c:d
run --tool_tag=ijwb:CLion:clion --compilation_mode=dbg --copt=-O0 --copt=-g --strip=never --dynamic_mode=off --script_path=/tmp/s -- //:app
info --tool_tag=ijwb:IDEA:community --curses=no --color=yes --progress_in_terminal_title=no --
# ibazel
build --isatty=1 --color=yes //web:app
run --script_path=/tmp/bazel_script_path1 --config=ibazel //web/src:serve
cquery --config=ibazel --output=build buildfiles(deps(set(//web:app)))
# gopackagesdriver
--output_base=/h/.cache/bazel/gopackagesdriver run --config=full_local --tool_tag=gopackagesdriver @io_bazel_rules_go//go/tools/gopackagesdriver -- file=a.go
# the last word is an option: sh cannot tell whether it takes a value
?test --config=debug //:t --java_debug
?build --config=ci //... --subcommands
?run --config=debug //:app --java_debug -- --port 1
?build --config=opt //x --//flags:fast
?build --remote_instance_name= //x
`;

const rows = everyday
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map((line) => ({
    line,
    slow: line.startsWith("?"),
    args: line
      .replace(/^\?/, "")
      .split(" ")
      .map((word) => word.replaceAll("␠", " ")),
  }));

it("covers at least 60 of them", () => expect(rows.length).toBeGreaterThanOrEqual(60));

it.each(rows)("$line", ({ args, slow }) => {
  const read = readCommandLine(args);
  expect(read.kind).not.toBe("unreadable");
  expect(quickJudgement(args).kind === "unclear").toBe(slow);
  if (read.kind === "heavy") {
    // Behind every --config, and never among the words of a program or behind the dashes.
    const end = args.includes("--") ? args.indexOf("--") : args.length;
    expect(read.at).toBeLessThanOrEqual(end);
    expect(args.slice(read.at, end).some((word) => word.startsWith("--config"))).toBe(false);
  }
});
