// @ts-check
// The official SDK's module, fetched when it is first needed.

let failures = 0;

/**
 * Load the SDK. Browsers remember that an address brought no module, so each try after a failure asks for a new one:
 * whoever was offline for a moment need not reload the page.
 * @param {string} sdkUrl
 * @param {(url: string) => Promise<any>} load
 */
export async function loadSdk(sdkUrl, load = (url) => import(url)) {
  try {
    return await load(failures ? `${sdkUrl}?again=${failures}` : sdkUrl);
  } catch (error) {
    failures += 1;
    throw error;
  }
}
