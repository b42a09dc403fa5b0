/**
 * Topics of the event plane and their subjects on NATS, as NVIDIA Dynamo has them:
 * `namespace.{namespace}.component.{component}.{topic}`; some of its versions put an endpoint before the topic. The topic is
 * the last part in both.
 */

export const TOPIC = { kvEvents: 'kv-events', load: 'kv_metrics' } as const;
export type Topic = (typeof TOPIC)[keyof typeof TOPIC];

/** The subject of a component's topic. */
export const eventSubject = (namespace: string, component: string, topic: Topic): string =>
  `namespace.${subjectPart(namespace)}.component.${subjectPart(component)}.${topic}`;

/** What a router listens to: all components of its namespace, endpoints or not. */
export const eventSubjects = (namespace: string, topic: Topic): string[] => [
  `namespace.${subjectPart(namespace)}.component.*.${topic}`,
  `namespace.${subjectPart(namespace)}.component.*.endpoint.*.${topic}`,
];

/** Points, wildcards and white space mean something in subjects. */
const subjectPart = (name: string): string => name.replace(/[.*>\s]/g, '_');
