/** The interface of a RequestPlane object: `fetch` carries requests, the Router object tells it of workers. */

/** Headers of a request to it: which worker, and where that is by HTTP, for what NATS cannot carry. */
export const PLANE_HEADER = { worker: 'x-stator-plane-worker', address: 'x-stator-plane-address' } as const;

export interface RequestPlaneRpc {
  /** A worker's fleet socket broke: its answers are asked for signs of life. */
  workerLost(worker: string): void;
}
