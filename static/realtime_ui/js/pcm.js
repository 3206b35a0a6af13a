// @ts-check
// Sound as the protocol's events carry it: 24 kHz, mono, 16 bits, little-endian, in base64.

export const PCM_RATE_HZ = 24_000;
const BYTES_A_SAMPLE = 2;
const FULL_SCALE = 0x8000;
/** Arguments of one call, which engines bound. */
const CHARS_AT_ONCE = 8_192;

/** @param {Float32Array} samples from -1 to 1; what is louder is cut */
export function encodePcm(samples) {
  const bytes = new Uint8Array(samples.length * BYTES_A_SAMPLE);
  const view = new DataView(bytes.buffer);
  samples.forEach((sample, index) => {
    const scaled = Math.round(sample * FULL_SCALE);
    view.setInt16(index * BYTES_A_SAMPLE, Math.max(-FULL_SCALE, Math.min(FULL_SCALE - 1, scaled)), true);
  });
  return toBase64(bytes);
}

/** Return samples from -1 to 1; half a sample at the end is left out. @param {string} base64 */
export function decodePcm(base64) {
  const text = atob(base64);
  const samples = new Float32Array(Math.floor(text.length / BYTES_A_SAMPLE));
  for (let index = 0; index < samples.length; index += 1) {
    const unsigned = text.charCodeAt(2 * index) | (text.charCodeAt(2 * index + 1) << 8);
    samples[index] = (unsigned >= FULL_SCALE ? unsigned - 2 * FULL_SCALE : unsigned) / FULL_SCALE;
  }
  return samples;
}

/** @param {Uint8Array} bytes */
function toBase64(bytes) {
  let text = '';
  for (let start = 0; start < bytes.length; start += CHARS_AT_ONCE) {
    text += String.fromCharCode(...bytes.subarray(start, start + CHARS_AT_ONCE));
  }
  return btoa(text);
}
