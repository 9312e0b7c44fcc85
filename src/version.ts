/** The release, as `--version` and `/api/status` say it. A test keeps it equal to package.json. */
export const version = "0.1.0"
