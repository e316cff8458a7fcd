/** Tells what the agent finds out about this Windows: answers to the host check's lines given, and its own names. */
import { gatewayHardwareAddress } from "../../../src/machine/device.ts";
import { answerHostChecks } from "../../../src/posture/answer.ts";
import { applicationSources } from "../../../src/posture/sources.ts";

const answers = await answerHostChecks(process.argv.slice(2), { platform: "win", sources: applicationSources("win") });
console.log(JSON.stringify({ answers, address: await gatewayHardwareAddress() }));
