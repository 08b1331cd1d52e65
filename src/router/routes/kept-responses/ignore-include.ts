import type { preValidationHookHandler } from 'fastify';

const IGNORED = /^include(?:_obfuscation)?(?:\[\d*\])?$/;

/**
 * Clients may ask for more of a response by `include`, in several spellings and often: what is kept is shown, and it is not
 * refused. Other parameters that are not known are, as everywhere.
 */
export const ignoreInclude: preValidationHookHandler = (request, _reply, done) => {
  if (typeof request.query === 'object' && request.query !== null) {
    for (const name of Object.keys(request.query)) {
      if (IGNORED.test(name)) Reflect.deleteProperty(request.query, name);
    }
  }
  done();
};
