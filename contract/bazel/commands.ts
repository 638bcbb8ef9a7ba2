/**
 * Bazel's command line as tables: the one place from which both the sh fast path (generated) and the
 * TypeScript slow path read what a word means. From option_processor.cc, startup_options.cc and the
 * option classes of Bazel 2.1 to 9; what no version knows is `unclear`, never guessed.
 */

/** What a command may do: heavy ones execute actions, medium ones load, analyse or fetch, light ones neither. */
export type CommandClass = "light" | "medium" | "heavy";

/**
 * Every command of every version. One that is missing here is heavy: a newer Bazel's command is guarded
 * rather than let through, and a typo is refused by Bazel itself once attached.
 */
export const commandClasses: Readonly<Record<string, CommandClass>> = {
  build: "heavy",
  test: "heavy",
  coverage: "heavy",
  run: "heavy",
  "mobile-install": "heavy",
  print_action: "heavy",
  // The action cache cannot help what follows: repository rules and analysis come before it.
  fetch: "medium",
  sync: "medium",
  vendor: "medium",
  query: "medium",
  cquery: "medium",
  aquery: "medium",
  mod: "medium",
  "analyze-profile": "light",
  "canonicalize-flags": "light",
  clean: "light",
  config: "light",
  dump: "light",
  help: "light",
  info: "light",
  license: "light",
  shutdown: "light",
  version: "light",
  "-h": "light",
  "-help": "light",
  "--help": "light",
  // `bazel ""` prints the help, like a bare `bazel`.
  "": "light",
  // bazelisk's own (core.go): they print and exit.
  "--print_env": "light",
  bazeliskVersion: "light",
  completion: "light",
  // Prints and exits without a server wherever it stands among the startup options.
  "--version": "light",
};

/** Startup options that take a value, as `--x=v` or `--x v`. */
export const unaryStartupOptions: readonly string[] = [
  "bazelrc",
  "command_port",
  "connect_timeout_secs",
  "digest_function",
  "experimental_cgroup_parent",
  "experimental_oom_more_eagerly_threshold",
  "failure_detail_out",
  "host_jvm_args",
  "host_jvm_profile",
  "install_base",
  "invocation_policy",
  "io_nice_level",
  "local_startup_timeout_secs",
  "macos_qos_class",
  "max_idle_secs",
  "output_base",
  "output_user_root",
  "server_javabase",
  "server_jvm_out",
  "unix_digest_hash_attribute_name",
];

/** Startup options that never take a separate value; each also with `no` before its name. */
export const nullaryStartupOptions: readonly string[] = [
  "allow_configurable_attributes",
  "autodetect_server_javabase",
  "batch",
  "batch_cpu_scheduling",
  "block_for_lock",
  "client_debug",
  "deep_execroot",
  "expand_configs_in_place",
  "experimental_oom_more_eagerly",
  "experimental_run_in_user_cgroup",
  "fatal_event_bus_exceptions",
  "home_rc",
  "host_jvm_debug",
  "idle_server_tasks",
  "ignore_all_rc_files",
  "lock_install_base",
  "master_bazelrc",
  "preemptible",
  "quiet",
  "shutdown_on_low_sys_mem",
  "system_rc",
  "unlimit_coredumps",
  "watchfs",
  "windows_enable_symlinks",
  "workspace_rc",
  "write_command_log",
];

/** bazelisk takes these as its very first argument and hands the rest on: `--bisect=A..B` with its value. */
export const bazeliskModes: readonly string[] = ["--strict", "--migrate"];

/**
 * Boolean options of the heavy commands that stand alone, each also with `no` before its name: after one of
 * these a `--` ends the options, and nothing that is appended is swallowed. The list need not be complete:
 * an option that is in neither list makes only the rare spot behind it unclear.
 */
export const booleanOptions: readonly string[] = [
  "announce_rc",
  "attempt_to_print_relative_paths",
  "build",
  "build_manual_tests",
  "build_python_zip",
  "build_runfile_links",
  "build_runfile_manifests",
  "build_tests_only",
  "cache_test_results",
  "check_direct_dependencies",
  "check_licenses",
  "check_tests_up_to_date",
  "check_up_to_date",
  "check_visibility",
  "color_timestamps",
  "collect_code_coverage",
  "compile_one_dependency",
  "discard_analysis_cache",
  "enable_bzlmod",
  "enable_platform_specific_config",
  "enable_runfiles",
  "enable_workspace",
  "expand_test_suites",
  "experimental_generate_json_trace_profile",
  "fetch",
  "force_pic",
  "generate_json_trace_profile",
  "guard_against_concurrent_changes",
  "incompatible_strict_action_env",
  "instrument_test_targets",
  "keep_going",
  "keep_state_after_build",
  "legacy_external_runfiles",
  "legacy_important_outputs",
  "materialize_param_files",
  "progress_in_terminal_title",
  "remote_download_minimal",
  "remote_download_toplevel",
  "remote_download_all",
  "remote_local_fallback",
  "remote_verify_downloads",
  "run",
  "run_validations",
  "runs_per_test_detects_flakes",
  "sandbox_debug",
  "sandbox_default_allow_network",
  "sandbox_fake_hostname",
  "sandbox_fake_username",
  "show_loading_progress",
  "show_progress",
  "show_timestamps",
  "slim_profile",
  "stamp",
  "subcommands_abbreviated",
  "test_keep_going",
  "test_runner_fail_fast",
  "test_verbose_timeout_warnings",
  "track_incremental_state",
  "use_ijars",
  "verbose_explanations",
  "verbose_failures",
  "verbose_test_summary",
  "watchfs",
  "worker_multiplex",
  "worker_quit_after_build",
  "worker_sandboxing",
  "worker_verbose",
  "zip_undeclared_test_outputs",
];

/** Short options without a value. */
export const shortBooleanOptions: readonly string[] = ["-k", "-s", "-t"];

/** Options of the heavy commands that take the next word as their value: what a slow path may skip over. */
export const unaryOptions: readonly string[] = [
  "--action_env",
  "--aspects",
  "--bes_backend",
  "--bes_results_url",
  "--build_event_binary_file",
  "--build_event_json_file",
  "--build_event_text_file",
  "--build_metadata",
  "--build_tag_filters",
  "--color",
  "--compilation_mode",
  "--config",
  "--copt",
  "--cpu",
  "--curses",
  "--cxxopt",
  "--define",
  "--deleted_packages",
  "--disk_cache",
  "--distdir",
  "--embed_label",
  "--execution_log_json_file",
  "--explain",
  "--features",
  "--host_copt",
  "--host_platform",
  "--instrumentation_filter",
  "--jobs",
  "--linkopt",
  "--local_ram_resources",
  "--local_test_jobs",
  "--output_filter",
  "--output_groups",
  "--package_path",
  "--platforms",
  "--profile",
  "--remote_header",
  "--remote_timeout",
  "--repo_env",
  "--repository_cache",
  "--run_under",
  "--runs_per_test",
  "--script_path",
  "--spawn_strategy",
  "--strategy",
  "--symlink_prefix",
  "--target_pattern_file",
  "--test_arg",
  "--test_env",
  "--test_filter",
  "--test_lang_filters",
  "--test_output",
  "--test_size_filters",
  "--test_strategy",
  "--test_summary",
  "--test_tag_filters",
  "--test_timeout",
  "--test_timeout_filters",
  "--tool_tag",
  "--ui_event_filters",
  "--workspace_status_command",
  "-c",
  "-j",
];

/**
 * Options that decide whether and where the cache is used: the fast path leaves every one of them to the
 * slow path. Without their dashes; each also with `no` before its name.
 */
export const cacheOptions: readonly string[] = [
  "remote_cache",
  // remote_cache's name before Bazel 0.27, which later versions still take.
  "remote_http_cache",
  "remote_accept_cached",
  "remote_upload_local_results",
  "remote_executor",
  "remote_proxy",
  "remote_instance_name",
  "modify_execution_info",
];

/**
 * The startup option that overrules every flag, wherever that stands (tried on 2.1 and 4.2): before a heavy
 * command it is the slow path's. Without its dashes.
 */
export const policyOption = "invocation_policy";

/** The longest list of arguments before `--` into whose middle sh inserts: beyond it, moving them is quadratic. */
export const mostArgumentsToMove = 200;
