// @ts-check
/**
 * Shows the OpenAPI document with Swagger UI, which an earlier script of the page has put into `SwaggerUIBundle`.
 *
 * Reads `data-schema-url` of `#api-docs`. Asks no other origin: Swagger's own validator badge is off.
 */

/**
 * @typedef {{ url: string, credentials?: string, headers: Record<string, string> }} SwaggerRequest
 * @typedef {(options: Record<string, unknown>) => void} SwaggerUI
 */

const DARK = matchMedia('(prefers-color-scheme: dark)');

/** Swagger's sheet takes its dark colours from this class. */
function followColourScheme() {
  document.documentElement.classList.toggle('dark-mode', DARK.matches);
}

/**
 * A session's request needs the page's token. With a key given under “Authorize” the header decides alone.
 *
 * @param {SwaggerRequest} request
 */
export function withToken(request) {
  if (new URL(request.url, location.href).origin !== location.origin) return request;
  const token = document.querySelector('meta[name="csrf-token"]')?.getAttribute('content');
  if (token) request.headers['X-CSRFToken'] = token;
  return request;
}

/** @param {HTMLElement} place */
function show(place) {
  const { SwaggerUIBundle } = /** @type {{ SwaggerUIBundle: SwaggerUI }} */ (/** @type {unknown} */ (window));
  SwaggerUIBundle({
    url: place.dataset.schemaUrl,
    domNode: place,
    deepLinking: true,
    docExpansion: 'list',
    defaultModelsExpandDepth: 0,
    syntaxHighlight: { theme: 'monokai' },
    validatorUrl: null,
    requestInterceptor: withToken,
  });
}

DARK.addEventListener('change', followColourScheme);
followColourScheme();
const place = document.getElementById('api-docs');
if (place) show(place);
