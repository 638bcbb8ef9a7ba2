/** This flywheel's version: package.json's, taken in when the bundles are built. */
import manifest from "../package.json" with { type: "json" };

export const version: string = manifest.version;
