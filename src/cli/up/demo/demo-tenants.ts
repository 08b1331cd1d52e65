/** A demo tenant: who is in it, and which documents of an installed package are its vault. */
export type DemoTenantPlan = Readonly<{
  tenantId: string;
  displayName: string;
  /** The user of its member key. */
  userId: string;
  /** The user of its admin key, who owns the shared documents. */
  adminId: string;
  /** The package whose documentation it has, and the directory of that within the package. */
  packageName: string;
  directory: string;
  /** In this order: what newcomers ask about comes first. */
  files: readonly string[];
}>;

/** Two tenants whose documents are on disk already, about different things, so that a mix-up would show. */
export const DEMO_TENANTS: readonly DemoTenantPlan[] = [
  {
    tenantId: 'acme',
    displayName: 'Acme (Fastify’s documentation)',
    userId: 'alice',
    adminId: 'acme-admin',
    packageName: 'fastify',
    directory: 'docs',
    files: [
      'Reference/Plugins.md',
      'Guides/Plugins-Guide.md',
      'Reference/Hooks.md',
      'Reference/LTS.md',
      'Guides/Getting-Started.md',
      'Reference/Lifecycle.md',
      'Reference/Encapsulation.md',
      'Reference/Decorators.md',
      'Reference/Routes.md',
      'Reference/Validation-and-Serialization.md',
      'Reference/Request.md',
      'Reference/Reply.md',
      'Reference/Logging.md',
      'Reference/ContentTypeParser.md',
      'Reference/Middleware.md',
      'Reference/HTTP2.md',
      'Guides/Testing.md',
      'Guides/Database.md',
    ],
  },
  {
    tenantId: 'globex',
    displayName: 'Globex (undici’s documentation)',
    userId: 'bob',
    adminId: 'globex-admin',
    packageName: 'undici',
    directory: 'docs/docs',
    files: [
      'getting-started.md',
      'api/Pool.md',
      'api/Client.md',
      'api/Agent.md',
      'api/Fetch.md',
      'api/ProxyAgent.md',
      'api/RetryAgent.md',
      'api/RetryHandler.md',
      'api/Dispatcher.md',
      'api/Errors.md',
      'api/MockAgent.md',
      'api/Interceptors.md',
      'api/CacheStore.md',
      'api/Cookies.md',
      'api/Connector.md',
      'best-practices/undici-vs-builtin-fetch.md',
      'best-practices/mocking-request.md',
      'best-practices/proxy.md',
    ],
  },
];
