/** Asks everybody once to accept the terms of use, and again when they change. */
import { allow, definePostAuth, deny } from "@sallyport/sdk";

const settings = {
  /** A new one has everybody asked again. */
  version: "2026-1",
  question: "Do you accept the terms of use (vpn.example.org/terms)? Type yes or no.",
};

export default definePostAuth({ settings }, (request, ctx) => {
  const { version, question } = ctx.settings;
  // Only a VPN client can be asked here, and nobody in the middle of a session.
  if (request.source !== "vpn" || request.reauth || request.properties.pvt_terms === version) return allow();

  const answer = ctx.response?.trim().toLowerCase();
  if (answer === "yes") return allow({ save: { pvt_terms: version } });
  if (answer === "no") {
    return deny({
      reason: `${request.user} does not accept the terms ${version}`,
      clientReason: "Without the terms, no VPN.",
    });
  }
  const rounds = Number(ctx.state.rounds ?? 0) + 1;
  ctx.state = { rounds };
  if (rounds > 3)
    return deny({ reason: "three answers that were neither yes nor no", clientReason: "Please type yes or no." });
  return ctx.challenge(question, { echo: true });
});
