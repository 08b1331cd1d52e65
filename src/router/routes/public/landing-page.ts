import { hash } from 'node:crypto';
import type { Endpoint } from '#router/router-services.ts';

const STYLE = `
:root { color-scheme: light dark }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1.25rem }
h1 { margin-bottom: .25rem }
pre { padding: .9rem 1rem; overflow-x: auto; border: 1px solid #8886; border-radius: 6px }
code { font: 14px/1.5 ui-monospace, monospace }
`;

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Bulkhead</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>Bulkhead</h1>
<p>A multi-tenant LLM chat platform: tenants share one fleet, and none can see, slow down or outspend another.</p>
<p><a href="/docs/">API reference</a> · <a href="/openapi.json">OpenAPI</a> · <a href="/readyz">Readiness</a></p>
<h2>Ask your documents</h2>
<p>Every call needs an API key of a tenant. Where keys come from is printed when the service first starts.</p>
<pre><code>curl -s "$URL/v1/chat" \\
  -H "Authorization: Bearer $API_KEY" -H "Content-Type: application/json" \\
  -d '{"message": "How do I add a plugin?"}'</code></pre>
<h2>Add a document</h2>
<pre><code>curl -s "$URL/v1/vault/documents" \\
  -H "Authorization: Bearer $API_KEY" -F file=@handbook.pdf -F visibility=private</code></pre>
<h2>Use an OpenAI client</h2>
<pre><code>const client = new OpenAI({ baseURL: url + "/v1", apiKey });
await client.chat.completions.create({
  model: "bulkhead-rag",
  messages: [{ role: "user", content: "How do I add a plugin?" }],
});</code></pre>
</main>
</body>
</html>
`;

const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${hash('sha256', STYLE, 'base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** `GET /`: what this is, and how to call it. */
export const landingPage: Endpoint = (app) => {
  app.route({
    method: 'GET',
    url: '/',
    schema: { hide: true },
    handler: async (_request, reply) =>
      reply
        .type('text/html; charset=utf-8')
        .header('content-security-policy', POLICY)
        .header('referrer-policy', 'no-referrer')
        .send(PAGE),
  });
};
