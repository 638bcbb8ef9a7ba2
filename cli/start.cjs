// Written for any Node, so that one that is too old says so instead of failing to parse.
"use strict";
var have = process.versions.node.split(".").map(Number);
if (have[0] < 22 || (have[0] === 22 && have[1] < 19)) {
  process.stderr.write("flywheel: Node " + process.versions.node + " is too old\n  next: install Node.js 22.19 or newer\n");
  process.exit(1);
}
// Node's default place for compiled code is shared with other users; ours is not.
var home = process.env.XDG_CACHE_HOME || (process.env.HOME && process.env.HOME + "/.cache");
if (home && home.charAt(0) === "/") require("node:module").enableCompileCache(home + "/gloriousflywheel/compiled");
import("./main.js");
