// The agent's place; what it will do is written down, and nothing of it is built yet.
process.stderr.write("sallyport-agent: not available in this version\n");
process.exitCode = 1;
