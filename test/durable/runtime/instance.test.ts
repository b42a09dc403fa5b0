/** Addresses of endpoints and records of instances, in the layout that others read. */
import { describe, expect, it } from 'vitest';
import {
  checkEndpointName,
  endpointAddress,
  endpointPrefix,
  INSTANCES_PREFIX,
  instanceKey,
  instanceRecord,
  PLATFORMS_PREFIX,
  parseEndpointName,
  readInstance,
} from '../../../durable/runtime/instance.ts';

const instance = {
  namespace: 'default',
  component: 'greeter',
  endpoint: 'hello',
  instanceId: 'ffffffffffffffff',
  http: 'http://10.0.0.1:7000/stator.v1.Component/hello',
  grpc: '10.0.0.1:7001/stator.v1.Component/Call',
  idempotent: true,
};

describe('addresses of endpoints', () => {
  it("are Dynamo's", () => {
    const name = { namespace: 'dynamo', component: 'backend', endpoint: 'clear_kv_blocks' };
    expect(parseEndpointName('dyn://dynamo.backend.clear_kv_blocks')).toEqual(name);
    expect(parseEndpointName('dynamo/backend/clear_kv_blocks')).toEqual(name);
    expect(endpointAddress(name)).toBe('dyn://dynamo.backend.clear_kv_blocks');
    expect(endpointPrefix(name)).toBe('v1/instances/dynamo/backend/clear_kv_blocks/');
  });

  it('may leave out what everybody says', () => {
    expect(endpointAddress(parseEndpointName('dyn://dynamo'))).toBe('dyn://dynamo.backend.generate');
    expect(endpointAddress(parseEndpointName('default.prefill'))).toBe('dyn://default.prefill.generate');
  });

  it('are refused when they are none, by name', () => {
    for (const text of ['', 'dyn://', 'a.b.c.d', 'a..c', 'a b', 'dyn://a.b.c/../d']) {
      expect(() => parseEndpointName(text), text).toThrow(/no address of an endpoint/);
    }
    expect(() => checkEndpointName({ namespace: 'a', component: 'b/c', endpoint: 'd' })).toThrow(
      /component 'b\/c'/,
    );
  });
});

describe('the record of an instance', () => {
  it('is read as it was written', () => {
    const key = instanceKey(instance);
    expect(key).toBe('v1/instances/default/greeter/hello/ffffffffffffffff');
    expect(key.startsWith(PLATFORMS_PREFIX)).toBe(false);
    expect(readInstance(key, instanceRecord(instance))).toEqual(instance);
    const bare = { ...instance, http: null, grpc: null, idempotent: false };
    expect(readInstance(key, instanceRecord(bare))).toEqual(bare);
  });

  it('says the id as the 64-bit number that others expect', () => {
    expect(instanceRecord(instance)).toContain('"instance_id":18446744073709551615');
  });

  it('of somebody else is read as far as we understand it', () => {
    const key = `${INSTANCES_PREFIX}dynamo/backend/generate/1f`;
    const theirs = '{"instance_id":31,"transport":{"nats_tcp":"dynamo_backend.generate-1f"}}';
    expect(readInstance(key, theirs)).toMatchObject({ instanceId: '1f', http: null, idempotent: false });
  });

  it('that is none is null', () => {
    const key = instanceKey(instance);
    for (const text of ['', '[]', '{}', '{"transport":{"http":"ftp://x"}}', '{"transport":7}']) {
      expect(readInstance(key, text), text).toBeNull();
    }
    for (const wrong of [
      'v1/mdc/a/b/c/1',
      `${INSTANCES_PREFIX}a/b/c`,
      `${INSTANCES_PREFIX}a/b/c/x`,
      `${key}/more`,
    ]) {
      expect(readInstance(wrong, instanceRecord(instance)), wrong).toBeNull();
    }
  });
});
