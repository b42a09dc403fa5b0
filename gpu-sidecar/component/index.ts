/** What users import: `import { defineComponent } from 'stator/component'`. */

export { StatorError } from '../../durable/runtime/errors.ts';
export { type Connection, type ConnectOptions, connect } from './connect.ts';
export {
  type CallContext,
  type Component,
  type ComponentDefinition,
  defineComponent,
  type EndpointHandler,
  type EndpointOptions,
} from './define-component.ts';
export type { CallOptions, EndpointClient } from './endpoint-client.ts';
