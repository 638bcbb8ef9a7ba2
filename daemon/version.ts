/** This flywheel's version; package.json's (the release changes both, and a test compares them). */
export const version = "0.1.0";
