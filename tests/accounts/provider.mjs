// A certified OpenID provider on 127.0.0.1 for the tests. Arguments: the client's callback address, and a port if any.
// Prints its issuer. `PUT /claims` sets what it tells of the people; whoever logs in is believed.
import { createServer } from 'node:http';

import Provider from 'oidc-provider';

const [callback, port = '0'] = process.argv.slice(2);
let people = {};
let idTokenChanges = {};

const server = createServer();
await new Promise((resolve) => server.listen(Number(port), '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [{ client_id: 'voiceagent', client_secret: 'the-client-secret', redirect_uris: [callback] }],
  cookies: { keys: ['only for tests'] },
  claims: { openid: ['sub'], profile: ['preferred_username', 'given_name', 'family_name', 'groups'], email: ['email', 'email_verified'] },
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true } },
  async findAccount(_context, accountId) {
    return {
      accountId,
      async claims(use) {
        const changes = use === 'userinfo' ? {} : idTokenChanges;
        return { sub: accountId, ...people[accountId], ...changes };
      },
    };
  },
});

const app = provider.callback();
server.on('request', async (request, response) => {
  if (request.method !== 'PUT') return app(request, response);
  let body = '';
  for await (const piece of request) body += piece;
  ({ people, idTokenChanges = {} } = JSON.parse(body));
  return response.writeHead(204).end();
});
console.log(issuer);
