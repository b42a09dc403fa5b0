/** The worker that workerd runs: functions behind one `fetch`, and the classes of the objects behind them. */
import { app } from './app.ts';

export * from './objects.ts';

export default { fetch: app.fetch };
