/** Does the Node runtime's storage do what workerd's does? The same cases as in workerd. */

import { ObjectStorage } from '../../../durable/polyfill/object-storage.ts';
import { storageCases } from './storage.cases.ts';

storageCases(async (body) => {
  const database = ObjectStorage.emptyDatabase();
  await body(new ObjectStorage(database, () => {}) as unknown as DurableObjectStorage);
  database.close();
});
