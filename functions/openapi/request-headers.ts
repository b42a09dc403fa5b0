/** Request headers that route, with what they say; `dispatch/routing-headers.ts` and `dispatch/route.ts` read them. */
export const ROUTING_HEADERS: Readonly<Record<string, string>> = {
  'x-request-id': 'Taken as the id of this request, and said again in the answer',
  'x-worker-instance-id': 'The worker that must answer, as `x-stator-worker` names it',
  'x-dp-rank': 'With it: that data parallel rank',
  'x-tenant-id': 'Cached blocks are shared within a tenant only',
  'x-session-id': 'Requests of a session go to one worker, where affinity is on',
  'x-dynamo-request-priority': 'In the queue: seconds that the request counts as older than it is',
  'x-dynamo-request-strict-priority': 'In the queue: everything of a higher tier goes first',
  'x-dynamo-meta-policy-class': 'Policy class or family in the queue',
};
