/**
 * Exit codes of `flywheel`, documented in the README. 78 is the fleet's own code for "unattached"
 * (EX_CONFIG of sysexits.h); 3 is what systemctl gives for a unit that is not active.
 */
export const Exit = {
  ok: 0,
  failed: 1,
  usage: 2,
  notAttached: 3,
  refused: 78,
  notFound: 127,
} as const;

export type ExitCode = (typeof Exit)[keyof typeof Exit];
