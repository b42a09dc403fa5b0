/**
 * Topics of the event plane and their subjects on NATS, as NVIDIA Dynamo 1.6 has them:
 * `namespace.{namespace}.component.{component}.endpoint.{endpoint}.{topic}`; before, the endpoint was not in it.
 */

export const TOPIC = { kvEvents: 'kv-events', load: 'kv_metrics' } as const;
export type Topic = (typeof TOPIC)[keyof typeof TOPIC];

/** The subject of a topic of what generates. */
export const eventSubject = (namespace: string, component: string, topic: Topic): string =>
  `namespace.${subjectPart(namespace)}.component.${subjectPart(component)}.endpoint.generate.${topic}`;

/** What a router listens to: all components of its namespace, endpoints or not. */
export const eventSubjects = (namespace: string, topic: Topic): string[] => [
  `namespace.${subjectPart(namespace)}.component.*.${topic}`,
  `namespace.${subjectPart(namespace)}.component.*.endpoint.*.${topic}`,
];

/** Points, wildcards and white space mean something in subjects. */
const subjectPart = (name: string): string => name.replace(/[.*>\s]/g, '_');
