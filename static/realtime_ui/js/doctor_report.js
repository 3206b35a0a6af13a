// @ts-check
// What the connection doctor found, as a text for those who help. Device names, codes and times; nothing that lets in.

import { maskText } from './masking.js';

/**
 * @param {readonly import('./doctor.js').Result[]} results
 * @param {{at: Date, page: string, userAgent: string, failure: import('./call_errors.js').Failure|null}} about page: without what follows a question mark
 */
export function reportText(results, { at, page, userAgent, failure }) {
  const lines = [
    `Connection check of ${page} at ${at.toISOString()}`,
    userAgent,
    ...results.map(({ name, verdict, outcome, values = {}, detail = '' }) =>
      `${verdict.padEnd(7)} ${name}: ${[outcome, ...Object.values(values), detail].filter((word) => word !== '').join(', ')}`),
  ];
  if (failure) lines.push(`Last failure: ${failure.code} ${failure.status} ${failure.requestId}`);
  return `${lines.map(maskText).join('\n')}\n`;
}
