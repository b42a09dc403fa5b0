/** Metrics sources by the name that `--planner-metrics` has for them. */

import type { Settings } from '../../runtime/config.ts';
import { prometheusSource } from './prometheus.ts';
import type { MetricsSource, SourceParts } from './source.ts';

export function openSource(settings: Settings, parts: SourceParts): MetricsSource {
  switch (settings.plannerMetrics) {
    case 'router':
      return { read: (fromRouter) => fromRouter };
    case 'prometheus':
      return prometheusSource({
        url: settings.plannerPrometheusUrl,
        prefix: settings.metricsPrefix,
        ...parts,
      });
  }
}
