/** Does a setting mean the same in every place it can be given, and is a wrong one named? */

import { expect, test } from 'vitest';
import {
  envName,
  envSource,
  fileKey,
  flagName,
  resolveSettings,
  SETTINGS,
  settingsFromEnv,
  settingsToEnv,
} from '../../../durable/runtime/config.ts';

test('a setting has one name in each place', () => {
  expect([flagName('routerMode'), fileKey('routerMode'), envName('routerMode')]).toEqual([
    'router-mode',
    'router_mode',
    'STATOR_ROUTER_MODE',
  ]);
});

test('names do not collide', () => {
  const names = Object.keys(SETTINGS);
  expect(new Set(names.map(envName)).size).toBe(names.length);
});

test('without any source every setting has its default, and the defaults are valid', () => {
  const settings = resolveSettings([]);
  for (const [name, { schema, default: fallback }] of Object.entries(SETTINGS)) {
    expect(settings[name as keyof typeof settings]).toEqual(fallback);
    expect(schema.safeParse(fallback).success, name).toBe(true);
  }
});

test('the strongest source wins', () => {
  const label = (name: string) => name;
  const sources = [
    { values: { port: '1' }, label },
    { values: { port: '2', workers: '3' }, label },
  ];
  expect(resolveSettings(sources)).toMatchObject({ port: 1, workers: 3 });
});

test('settings survive the way through the environment', () => {
  const settings = { ...settingsFromEnv({}), routerTrackOutputBlocks: true, routerTemperature: 0.5, port: 9 };
  expect(settingsFromEnv(settingsToEnv(settings))).toEqual(settings);
});

test('an empty variable counts as absent, a wrong one is named', () => {
  expect(settingsFromEnv({ STATOR_PORT: '' }).port).toBe(8787);
  expect(envSource({ STATOR_PORT: 7, OTHER: 'x' }).values).toEqual({});
  expect(() => settingsFromEnv({ STATOR_PORT: '70000' })).toThrow('STATOR_PORT');
  expect(() => settingsFromEnv({ STATOR_ROUTER_TRACK_OUTPUT_BLOCKS: 'perhaps' })).toThrow(
    'STATOR_ROUTER_TRACK_OUTPUT_BLOCKS',
  );
});
