/** As servers are told it, and as `--version` prints it. */
export const version = "0.1.0";
