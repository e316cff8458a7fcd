import type { Command } from "commander";
import type { TotpEnrolment } from "../../api/commands/totp.ts";
import type { Cli } from "../cli.ts";
import { details, visible } from "../for-people.ts";
import { qrCode } from "../qr-code.ts";

/** `sallyport totp …`: authenticator apps. */
export function register(program: Command, cli: Cli): void {
  const totp = program.command("totp").description("authenticator apps of users");
  totp
    .command("enrol <user>")
    .description("make a secret for a user's authenticator app, and show it as a QR code")
    .action(async (user: string) => {
      const enrolment = await cli.call<TotpEnrolment>("totp-enrol", { name: user });
      const code = cli.json ? "" : await qrCode(enrolment.uri, cli.io.stdout.isTTY);
      cli.print(enrolment, ({ secret, uri }) => {
        const facts = details([
          ["secret", secret],
          ["uri", uri],
        ]);
        return `Enrolled an authenticator for ${visible(user)}. Scan this now; it is not shown again.\n\n${code}\n${facts}`;
      });
      if (!enrolment.asked) {
        cli.note(`No code is asked for yet: \`sallyport property set --user ${visible(user)} prop_google_auth true\`.`);
      }
    });
  totp
    .command("reset <user>")
    .description("forget a user's authenticator app, for a lost phone")
    .action(async (user: string) => {
      cli.print(await cli.call<{ id: string }>("totp-reset", { name: user }), ({ id }) => {
        return `Forgot the authenticator of ${visible(id)}. Enrol another with \`sallyport totp enrol ${visible(id)}\`.\n`;
      });
    });
}
