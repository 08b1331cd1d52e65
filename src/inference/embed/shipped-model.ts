import { join } from 'node:path';

/** The directory of the package: `src/` and `dist/` lie at the same depth, so the way up is the same from both. */
const packageRoot = join(import.meta.dirname, '..', '..', '..');

/** The model that comes with the repository; `models/README.md` says where it is from. */
export const SHIPPED_MODEL_DIRECTORY: string = join(packageRoot, 'models', 'all-minilm-l6-v2-int8');
