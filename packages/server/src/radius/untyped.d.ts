/** Types for the part of libraries without types that is used here. */
declare module "js-md4" {
  type Md4 = { update(bytes: Uint8Array): Md4; array(): number[] };
  const md4: { create(): Md4 };
  export default md4;
}

declare module "des.js" {
  type Cipher = { update(bytes: Uint8Array): number[] };
  const des: { DES: { create(options: { type: "encrypt"; key: Uint8Array }): Cipher } };
  export default des;
}
