/**
 * What OpenVPN 2.6 does with bytes at its management socket, modelled after its behaviour and independent of the code
 * under test: reads of 256 bytes into a buffer of 1,024, the lexer of its configuration files, the lines inside
 * `client-auth`. It gives the commands that would be executed.
 */
export type Executed = { words: string[]; config: string[][] | undefined };

const newline = 0x0a;
const readBytes = 256;
const bufferBytes = 1_024;
const parameterBytes = 256;
const configLineBytes = 256;

export function execute(bytes: Buffer): Executed[] {
  const executed: Executed[] = [];
  let block: { words: string[]; lines: Buffer[] } | undefined;
  for (const line of linesOf(bytes)) {
    if (block !== undefined) {
      if (line.toString("latin1") === "END") {
        executed.push({ words: block.words, config: block.lines.flatMap(configLines).map((one) => words(one)) });
        block = undefined;
      } else block.lines.push(line);
      continue;
    }
    const command = words(line);
    if (command.length === 0) continue;
    if (command[0] === "client-auth") block = { words: command, lines: [] };
    else executed.push({ words: command, config: undefined });
  }
  if (block !== undefined) throw new Error("client-auth without END");
  return executed;
}

/** The lines that come out of the buffer; when it overflows, what it held is lost. */
function linesOf(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  const buffer = Buffer.alloc(bufferBytes);
  let length = 0;
  for (let at = 0; at < bytes.length; at += readBytes) {
    for (let next = at; next < Math.min(at + readBytes, bytes.length); next++) {
      const byte = bytes[next] ?? 0;
      // Control characters do not reach the buffer.
      if (byte !== newline && (byte < 0x20 || byte === 0x7f)) continue;
      if (length >= bufferBytes) length = 0;
      else buffer[length++] = byte;
    }
    let start = 0;
    for (let end = buffer.indexOf(newline); end !== -1 && end < length; end = buffer.indexOf(newline, start)) {
      lines.push(Buffer.from(buffer.subarray(start, end)));
      start = end + 1;
    }
    buffer.copyWithin(0, start, length);
    length -= start;
  }
  if (length > 0) throw new Error("a line without an end");
  return lines;
}

/** A line of a configuration is read in pieces of at most 255 bytes, each taken for a line. */
function configLines(line: Buffer): Buffer[] {
  if (line.length < configLineBytes) return [line];
  return [line.subarray(0, configLineBytes - 1), ...configLines(line.subarray(configLineBytes - 1))];
}

function isSpace(byte: number): boolean {
  return byte === 0 || byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}

const backslashByte = 0x5c;
const quoteByte = 0x22;
const apostropheByte = 0x27;

/** The words of one line; an error there executes nothing. */
export function words(line: Buffer): string[] {
  const found: string[] = [];
  let state: "between" | "bare" | "quoted" | "single" = "between";
  let word: number[] = [];
  let backslash = false;
  for (let at = 0; at <= line.length; at++) {
    const byte = line[at] ?? 0;
    if (!backslash && byte === backslashByte && state !== "single") {
      backslash = true;
      continue;
    }
    let out: number | undefined;
    let done = false;
    if (state === "between") {
      if (!isSpace(byte)) {
        if (byte === 0x3b || byte === 0x23) break;
        if (!backslash && byte === quoteByte) state = "quoted";
        else if (!backslash && byte === apostropheByte) state = "single";
        else {
          out = byte;
          state = "bare";
        }
      }
    } else if (state === "bare") {
      if (!backslash && isSpace(byte)) done = true;
      else out = byte;
    } else if (byte === (state === "quoted" ? quoteByte : apostropheByte) && !(state === "quoted" && backslash)) {
      done = true;
    } else out = byte;
    if (done) {
      found.push(Buffer.from(word).toString("utf8"));
      word = [];
      state = "between";
    }
    if (backslash && out !== undefined && out !== backslashByte && out !== quoteByte && !isSpace(out)) {
      throw new Error(`a backslash before ${out}`);
    }
    backslash = false;
    if (out !== undefined && out !== 0) {
      if (word.length + 1 >= parameterBytes) throw new Error("a parameter is too long");
      word.push(out);
    }
  }
  if (state !== "between") throw new Error("a quote is not closed");
  return found;
}
