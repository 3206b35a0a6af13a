// @ts-check
// Read the answer to a request that somebody else's code makes, told by its Bearer credential. `fetch` is wrapped
// once and stays wrapped: unwrapping would take the wrapper of a second call, begun meanwhile, with it.

/** @type {Map<string, (response: Response) => void>} by Authorization header */
const watchers = new Map();
let isWrapped = false;

/**
 * Call `take` with the answer to the next request that bears this secret, however late it comes.
 * Returns a function that stops waiting for such a request to be made.
 * @param {string} secret
 * @param {(response: Response) => void} take
 */
export function watchAnswer(secret, take) {
  if (!isWrapped) wrapFetch();
  const authorization = `Bearer ${secret}`;
  watchers.set(authorization, take);
  return () => watchers.delete(authorization);
}

function wrapFetch() {
  isWrapped = true;
  const realFetch = globalThis.fetch;
  globalThis.fetch = async (input, init) => {
    const authorization = watchers.size ? (new Headers(init?.headers).get('Authorization') ?? '') : '';
    const take = watchers.get(authorization);
    watchers.delete(authorization);
    const response = await realFetch(input, init);
    take?.(response);
    return response;
  };
}
