// SHA-256 of bytes, as hex. The browser's own is asked for large ones; small ones are quicker done
// here, and over plain http from another machine there is no other way.
//
// Source: FIPS 180-4.

const SMALL = 64 * 1024;
const ROUNDS = new Uint32Array(64);
const START = new Uint32Array(8);
const words = new Uint32Array(64);

// The constants are the first 32 bits of the fractions of roots of the first primes.
(function fill() {
  const fraction = (root) => Math.floor((root - Math.floor(root)) * 2 ** 32);
  const primes = [];
  for (let one = 2; primes.length < 64; one += 1) {
    if (primes.every((prime) => one % prime !== 0)) primes.push(one);
  }
  primes.forEach((prime, index) => {
    ROUNDS[index] = fraction(Math.cbrt(prime));
    if (index < 8) START[index] = fraction(Math.sqrt(prime));
  });
})();

export async function sha256(buffer) {
  if (buffer.byteLength <= SMALL || !globalThis.crypto?.subtle) return hashOf(new Uint8Array(buffer));
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", buffer)));
}

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

// The same without the browser's help.
export function hashOf(bytes) {
  const state = START.slice();
  const whole = bytes.length - (bytes.length % 64);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < whole; at += 64) block(state, view, at);
  const rest = bytes.length - whole;
  const end = new Uint8Array(rest < 56 ? 64 : 128);
  end.set(bytes.subarray(whole));
  end[rest] = 0x80;
  const last = new DataView(end.buffer);
  last.setUint32(end.length - 8, Math.floor(bytes.length / 2 ** 29));
  last.setUint32(end.length - 4, bytes.length * 8);
  for (let at = 0; at < end.length; at += 64) block(state, last, at);
  return Array.from(state, (word) => word.toString(16).padStart(8, "0")).join("");
}

const turn = (word, by) => (word >>> by) | (word << (32 - by));

function block(state, view, at) {
  for (let i = 0; i < 16; i += 1) words[i] = view.getUint32(at + 4 * i);
  for (let i = 16; i < 64; i += 1) {
    const early = words[i - 15];
    const late = words[i - 2];
    words[i] = words[i - 16] + words[i - 7]
      + (turn(early, 7) ^ turn(early, 18) ^ (early >>> 3)) + (turn(late, 17) ^ turn(late, 19) ^ (late >>> 10));
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 64; i += 1) {
    const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + ROUNDS[i] + words[i]) | 0;
    const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g; g = f; f = e; e = (d + one) | 0;
    d = c; c = b; b = a; a = (one + two) | 0;
  }
  state[0] += a; state[1] += b; state[2] += c; state[3] += d;
  state[4] += e; state[5] += f; state[6] += g; state[7] += h;
}
