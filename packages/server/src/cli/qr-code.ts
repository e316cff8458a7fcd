/** Black on white, whatever the colours of the terminal: cameras want that. Elsewhere characters alone. */
export async function qrCode(text: string, terminal: boolean): Promise<string> {
  const { default: qrcode } = await import("qrcode");
  return await qrcode.toString(text, {
    type: terminal ? "terminal" : "utf8",
    small: true,
    errorCorrectionLevel: "L",
  });
}
