/** Profiles that there are without a file, each with GloriousFlywheel's coordinates. Apart from profile.ts, so that a status need not load its schema. */
export const builtInProfiles: readonly string[] = ["default", "gloriousflywheel"];
