// A certified OpenID provider for the tests: node provider.mjs MODULES PORT SECONDS-OF-TOKENS
// Prints "ready" when it listens. POST /test/rotate gives it new keys; with ?drop=1 the old ones
// are gone at once, as after a theft. POST /test/groups?off=1 takes the groups of all people away,
// without off they are back. Its own pages ask for login and consent.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [modules, port, seconds] = process.argv.slice(2);
const require = createRequire(`${modules}/node_modules/`);
const { default: Provider } = await import(
  pathToFileURL(require.resolve('oidc-provider')).href
);
const issuer = `http://127.0.0.1:${port}`;

function newKey() {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'ES256' };
}

let keys = [newKey()];
let handle;
let groups = true;

function build() {
  const provider = new Provider(issuer, {
    clients: [{
      client_id: 'resfed',
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      grant_types: [
        'authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code',
      ],
      redirect_uris: ['http://127.0.0.1/callback'],
      id_token_signed_response_alg: 'ES256',
    }],
    jwks: { keys },
    cookies: { keys: ['only for tests'] },
    features: {
      devInteractions: { enabled: true },
      deviceFlow: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_, resource) => ({
          scope: 'federation',
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: Number(seconds),
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
    scopes: ['openid', 'offline_access', 'federation'],
    issueRefreshToken: () => true,
    extraTokenClaims: (_, token) => (
      groups && token.accountId?.startsWith('operator') ? { groups: ['staff', 'operators'] } : undefined
    ),
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    ttl: { Interaction: 600, Session: 600, Grant: 600, DeviceCode: 60, RefreshToken: 600 },
  });
  handle = provider.callback();
}

build();
createServer((request, response) => {
  const url = new URL(request.url, issuer);
  if (request.method === 'POST' && url.pathname === '/test/rotate') {
    keys = url.searchParams.has('drop') ? [newKey()] : [newKey(), ...keys];
    build();
    response.end('rotated');
    return;
  }
  if (request.method === 'POST' && url.pathname === '/test/groups') {
    groups = !url.searchParams.has('off');
    response.end('done');
    return;
  }
  handle(request, response);
}).listen(Number(port), '127.0.0.1', () => console.log('ready'));
