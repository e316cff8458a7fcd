/** Of every package of this repository; a test holds it against theirs. */
export const version = "0.1.0";
