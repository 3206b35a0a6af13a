// @ts-check
// Put linked items in the order of the conversation, whatever order they arrived in.

/** @typedef {{id: string, previousId: string|null|undefined}} Linked */

/**
 * Return the items in order. Each follows the one it names; of two that name the same, the one that arrived
 * later comes first, since inserting after an item pushes what stood there back. Items whose predecessor is
 * not known (yet) go to the end in order of arrival; a circle of links loses nobody.
 * @template {Linked} T
 * @param {readonly T[]} items in order of arrival
 * @returns {T[]}
 */
export function orderByLinks(items) {
  const ids = new Set(items.map((item) => item.id));
  /** @type {Map<string, T[]>} */
  const followers = new Map();
  /** @type {T[]} */
  const heads = [];
  /** @type {T[]} */
  const strays = [];
  for (const item of items) {
    if (item.previousId === null || item.previousId === 'root') heads.unshift(item);
    else if (item.previousId === undefined || !ids.has(item.previousId)) strays.push(item);
    else followers.set(item.previousId, [item, ...(followers.get(item.previousId) ?? [])]);
  }
  const ordered = /** @type {Map<string, T>} */ (new Map());
  for (const start of [...heads, ...strays, ...items]) follow(start, followers, ordered);
  return [...ordered.values()];
}

/**
 * Add an item and all that follow it, depth first, without recursion: a call may have thousands.
 * @template {Linked} T
 * @param {T} start
 * @param {Map<string, T[]>} followers
 * @param {Map<string, T>} ordered
 */
function follow(start, followers, ordered) {
  const stack = [start];
  while (stack.length) {
    const item = /** @type {T} */ (stack.pop());
    if (ordered.has(item.id)) continue;
    ordered.set(item.id, item);
    stack.push(...[...(followers.get(item.id) ?? [])].reverse());
  }
}
