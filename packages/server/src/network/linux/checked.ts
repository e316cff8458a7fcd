import { parseAddress } from "../../core/address-range.ts";

/** An interface's name, in quotes as nft wants it; letters that mean something to nft or ip are in none of ours. */
export function checkedDevice(name: string): string {
  return `"${checkedDeviceName(name)}"`;
}

export function checkedDeviceName(name: string): string {
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/.test(name)) {
    throw new Error(`${JSON.stringify(name)} cannot be the name of a network interface`);
  }
  return name;
}

export function checkedAddress(text: string): string {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`${JSON.stringify(text)} is no address`);
  return address;
}
